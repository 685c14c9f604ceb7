"""`python -m opencram` is the command `opencram`."""

from opencram.cli import main

main()
