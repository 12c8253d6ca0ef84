"""Proposes one call by plain HTTP and waits until people have decided. Python 3, nothing to install.
    COUNTERSIGN_URL=http://127.0.0.1:8480 COUNTERSIGN_KEY=csa_... python3 examples/propose.py"""
import json, os, urllib.request

URL, KEY = os.environ["COUNTERSIGN_URL"], os.environ["COUNTERSIGN_KEY"]

def call(method, path, body=None):  # 4xx and 5xx raise: a proposal refused so was not stored
    request = urllib.request.Request(URL + path, json.dumps(body).encode() if body else None, method=method,
                                     headers={"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)

action = call("POST", "/v1/actions", {
    "connection": "crm-main", "method": "POST", "path": "/emails",
    "body": {"to": "ann@example.com", "subject": "Hello", "text": "How are you?"},
    "idempotency_key": "mail-42", "note": "the customer asked for an answer"})
print(action["status"], action["links"]["review"], flush=True)
while action["status"] in ("pending", "approved", "sending", "blocked"):
    action = call("GET", f"/v1/actions/{action['id']}?wait=50")
print(action["status"], action["outcome"], action["result"])
