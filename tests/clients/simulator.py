"""What the tests of the Python clients share: the simulator's truth, and a way to run tests."""

import json
import sys
import traceback
import urllib.request

GATEWAY = sys.argv[1]
TRUTH = GATEWAY.partition("/ia/")[0]
LOGIN = {
    "sender_id": "sim-sender",
    "sender_password": "sim-sender-password",
    "user_id": "sim-user",
    "company_id": "DEMO",
    "user_password": "sim-user-password",
}


def records(name):
    """Every record of an object, as it is."""
    with urllib.request.urlopen(f"{TRUTH}/sim/objects/{name}") as lines:
        return [json.loads(line) for line in lines]


def objects():
    """The names of all objects: those of the company, and the gateway's own usage."""
    with urllib.request.urlopen(f"{TRUTH}/sim/objects") as answer:
        return sorted([*json.load(answer), "APIUSAGEDETAIL", "APIUSAGESUMMARY"])


def public(name):
    """The records that are seen from the top level: those of an entity alone are not."""
    return [record for record in records(name) if record["MEGAENTITYID"] is None]


def now():
    """The company's time, in seconds since 1970."""
    with urllib.request.urlopen(f"{TRUTH}/sim/clock") as answer:
        return json.load(answer)["unix_seconds"]


def expire_sessions():
    urllib.request.urlopen(f"{TRUTH}/sim/expire-sessions", data=b"").close()


def fails(kind, wanted, call):
    """Expects an error of exactly this kind that says what is wanted."""
    try:
        call()
    except kind as error:
        assert type(error) is kind, f"{type(error)} instead of {kind}"
        for text in wanted:
            assert text in str(error), f"{text!r} is not in {error}"
    else:
        raise AssertionError(f"no {kind}")


def run(tests):
    """Runs each test and ends the process, badly if one failed."""
    failed = False
    for test in tests:
        name = test.__name__.replace("_", " ")
        try:
            test()
            print(f"ok: {name}", flush=True)
        except Exception:
            failed = True
            print(f"failed: {name}", flush=True)
            traceback.print_exc()
    sys.exit(failed)
