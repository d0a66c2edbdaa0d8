"""What the samples of gateways have in common: the service behind, and what is asked of the gateway in front of it."""

import http.server
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

VERIFIERS = Path(__file__).parents[2] / "examples" / "verifiers"


class Echo(http.server.BaseHTTPRequestHandler):
    """The service behind: answers with the participant context that it is told."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(",".join(self.headers.get_all("x-participant-context", [])).encode())

    def log_message(self, *_) -> None:
        pass


def serve(handler: type[http.server.BaseHTTPRequestHandler]) -> int:
    """Answers requests until the end of the program, and says on which port."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


def ask(port: int, token: str | None) -> tuple[int, str]:
    headers = {"X-Participant-Context": "somebody-else"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def check(name: str, command: list, port: int, log: Path, token: str) -> None:
    """Runs the gateway, and asks it without a token, with a forged one and with a good one."""
    head, signature = token.rsplit(".", 1)
    forged = f"{head}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"
    with open(log, "wb") as output:
        gateway = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                if gateway.poll() is not None:
                    raise SystemExit(log.read_text())
                time.sleep(0.1)
        found = [ask(port, None)[0], ask(port, forged)[0], *ask(port, token)]
    finally:
        gateway.terminate()
        gateway.wait(10)
    if found != [401, 401, 200, "acme"]:
        raise SystemExit(f"{name} answers {found}\n{log.read_text()}")
    print(f"verifier in {name}: lets a good token through with its participant context, and keeps others out")
