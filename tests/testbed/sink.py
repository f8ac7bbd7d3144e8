"""Where submitted mail ends: a mail server that takes everything and appends it to one mbox file."""

import socketserver
import threading
from pathlib import Path


def serve(mbox: Path) -> int:
    """Serves in a thread until the process ends, and returns the port."""
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session)
    server.daemon_threads = True
    server.mbox, server.writing = mbox, threading.Lock()
    mbox.touch()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


class Session(socketserver.StreamRequestHandler):
    def say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())

    def handle(self) -> None:
        self.say("220 sink.example.com ESMTP")
        for line in self.rfile:
            verb = line.split(None, 1)[0].upper() if line.strip() else b""
            if verb == b"DATA":
                self.say("354 go ahead")
                self.keep(self.message())
                self.say("250 2.0.0 kept")
            elif verb == b"QUIT":
                return self.say("221 2.0.0 bye")
            elif verb == b"EHLO":
                self.say("250-sink.example.com\r\n250 8BITMIME")
            elif verb in (b"HELO", b"MAIL", b"RCPT", b"RSET", b"NOOP"):
                self.say("250 2.0.0 fine")
            else:
                self.say("502 5.5.1 not here")

    def message(self) -> bytes:
        lines = []
        for line in self.rfile:
            if line == b".\r\n":
                return b"".join(lines)
            line = line.removeprefix(b".").replace(b"\r\n", b"\n")
            lines.append(b">" + line if line.startswith(b"From ") else line)
        raise ConnectionError("the message has no end")

    def keep(self, message: bytes) -> None:
        # The lines that mbox needs around each message.
        whole = b"From sink Thu Jan  1 00:00:00 1970\n" + message + b"\n"
        with self.server.writing, self.server.mbox.open("ab") as file:
            file.write(whole)
