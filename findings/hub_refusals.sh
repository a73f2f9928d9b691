#!/usr/bin/env bash
# huggingface_hub 2.4: `except HfHubHTTPError` does not catch all that the Hub refuses.
#
# 1. snapshot_download of a model that is not in the cache: a server that answers 403 with a reason (an address that is
#    not allowed, an organisation's rule) ends as LocalEntryNotFoundError, no HfHubHTTPError, and its text ends with the
#    advice to check the internet connection. The refusal itself, with its status, is in __cause__. (401, and a
#    gated or missing repository, are told apart.)
# 2. upload_folder with a README.md whose YAML the server does not take (400 of /api/validate-yaml): a bare ValueError,
#    which is neither HfHubHTTPError nor HFValidationError, of several lines.
#
# Who shows users one sentence has to look at both: the cause of the first, and ValueError for the second.
#
# Exits with 1 if that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet huggingface_hub==2.4.0
mkdir "$folder/model"
printf -- '---\nlicense: other\nlicense_name: 7\n---\n# A model\n' > "$folder/model/README.md"
cd "$folder"
HF_HOME="$folder/home" HF_TOKEN=hf_nobody "$folder/venv/bin/python" - <<'PYTHON'
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ADDRESS = "Your address is not in the range that this organisation allows."
CARD = '"license_name" must be a string'


class Hub(BaseHTTPRequestHandler):
    """A stand-in for the Hub: it gives nobody a model, makes any repository, and takes no card."""

    def answer(self, status, said):
        data = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def do_GET(self):
        self.answer(403, {"error": ADDRESS})

    do_HEAD = do_GET

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/api/validate-yaml":
            self.answer(400, {"errors": [{"message": CARD}], "warnings": []})
        else:
            self.answer(200, {"url": "http://127.0.0.1/owner/name", "name": "owner/name"})

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
threading.Thread(target=server.serve_forever, daemon=True).start()
endpoint = f"http://127.0.0.1:{server.server_port}"

import huggingface_hub
from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

print("huggingface_hub", huggingface_hub.__version__)


def refused(ask):
    try:
        ask()
    except Exception as error:
        return error
    sys.exit("nothing was refused")


taken = refused(lambda: snapshot_download("owner/name", endpoint=endpoint))
print(f"snapshot_download: {type(taken).__name__}, HfHubHTTPError: {isinstance(taken, HfHubHTTPError)}")
print(f"  says the reason: {ADDRESS in str(taken)}, speaks of the connection: {'connection' in str(taken)}")
print(f"  __cause__: {type(taken.__cause__).__name__}, says it: {ADDRESS in str(taken.__cause__)}")
sent = refused(lambda: HfApi(endpoint=endpoint).upload_folder(repo_id="owner/name", folder_path="model"))
print(f"upload_folder: {type(sent).__name__}, {len(str(sent).splitlines())} lines, says the reason: {CARD in str(sent)}")
as_before = (
    isinstance(taken, LocalEntryNotFoundError)
    and not isinstance(taken, HfHubHTTPError)
    and "connection" in str(taken)
    and isinstance(taken.__cause__, HfHubHTTPError)
    and ADDRESS in str(taken.__cause__)
    and type(sent) is ValueError
    and not isinstance(sent, (HfHubHTTPError, HFValidationError))
    and CARD in str(sent)
)
sys.exit(not as_before)
PYTHON
