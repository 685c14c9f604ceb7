"""Feed noise to the ASTERIX reader, led by what it reaches: `pip install atheris`, then run it; Ctrl-C ends it.

Arguments go to libFuzzer: `-max_total_time=60` ends after a minute.
"""

import sys

try:
    import atheris
except ImportError:
    sys.exit("fuzz_asterix: found no atheris, expected it (pip install atheris; not for every Python)")

with atheris.instrument_imports(include=["opencram.asterix", "opencram.record.capture"]):
    from opencram.asterix.inspect import Message, lines, messages
    from opencram.record.capture import is_capture, read_capture


def one_input(data: bytes) -> None:
    """Whatever comes is read or refused."""
    for packet in read_capture(data).packets if is_capture(data) else ():
        one_input(packet.data)
    for message in messages(data):
        if isinstance(message, Message):
            list(lines(message))


atheris.Setup(sys.argv, one_input)
atheris.Fuzz()
