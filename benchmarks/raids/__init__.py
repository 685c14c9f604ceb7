"""`make raids`: are hits warned of in time, and who is alarmed for nothing?"""
