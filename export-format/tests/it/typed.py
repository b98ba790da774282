# Runs a command that asks for a passphrase at its terminal, as `age` does, and types it whenever it is asked.
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[2], sys.argv[2:])
said = b""
try:
    while True:
        said += os.read(terminal, 1000)
        if said.rstrip().endswith(b":"):
            said = b""
            os.write(terminal, sys.argv[1].encode() + b"\n")
except OSError:
    pass
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
sys.exit(status and 1 if status != 127 else 127)
