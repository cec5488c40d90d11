"""The Python client pyintacct, driven against the simulator: test.py URL

The client keeps the address in its public attribute `url` and takes the endpoint of its session
from then on. It compares the end of a session with the clock of this machine, while the company
lives by its own: its module gets the company's clock for `time.time`. Nothing else is changed.
"""

import os
import sys
import time
import types
from decimal import Decimal
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
# The client reads the end of a session, which is UTC, as local time.
os.environ["TZ"] = "UTC"
time.tzset()

from jxmlease import XMLDictNode
from pyintacct import IntacctAPI, IntacctException
from pyintacct import client as module
from simulator import GATEWAY, LOGIN, expire_sessions, fails, now, objects, records, run

module.time = types.SimpleNamespace(time=now, mktime=time.mktime, strptime=time.strptime)


def client(**changes):
    config = {
        "SENDER_ID": LOGIN["sender_id"],
        "SENDER_PW": LOGIN["sender_password"],
        "COMPANY_ID": LOGIN["company_id"],
        "USER_ID": LOGIN["user_id"],
        "USER_PW": LOGIN["user_password"],
    }
    api = IntacctAPI({**config, **changes})
    api.url = GATEWAY
    return api


def call(api, name, arguments):
    """Sends a function for which the client has no method of its own."""
    payload, function = api.get_function_base()
    function.add_node(tag=name, new_node=XMLDictNode(arguments))
    return next(api.execute(payload).find_nodes_with_tag("data"))


def numbers(found):
    return sorted(str(record["RECORDNO"]) for record in found)


def opens_a_session_and_goes_on_with_it():
    api = client()
    session, endpoint, timeout = api.get_session_id()
    assert len(session) > 20 and endpoint == GATEWAY and timeout.endswith("+00:00")
    api.read_by_query("DEPARTMENT", "")
    first = api.sessionid
    api.read_by_query("DEPARTMENT", "")
    assert api.sessionid == first and api.url == GATEWAY


def opens_a_session_of_an_entity():
    entity = records("LOCATIONENTITY")[0]["LOCATIONID"]
    found = client(ENTITY_ID=entity).read_by_query("VENDOR", "", fields="RECORDNO,MEGAENTITYID")
    seen = [v for v in records("VENDOR") if v["MEGAENTITYID"] in (None, entity)]
    assert numbers(found) == numbers(seen)


def reads_by_query_page_by_page_to_the_end():
    api = client()
    found = api.read_by_query("GLENTRY", "AMOUNT > 0", fields="RECORDNO,AMOUNT", pagesize=300)
    entries = records("GLENTRY")
    assert numbers(found) == numbers(entries) and len(entries) > 600
    total = sum(Decimal(str(entry["AMOUNT"])) for entry in found)
    assert total == sum(Decimal(entry["AMOUNT"]) for entry in entries)


def reads_by_query_with_conditions():
    bills = records("APBILL")
    vendor = bills[0]["VENDORID"]
    text = f"VENDORID = '{vendor}' AND WHENCREATED >= '01/01/2024'"
    found = client().read_by_query("APBILL", text, fields="RECORDNO")
    assert numbers(found) == numbers(bill for bill in bills if bill["VENDORID"] == vendor)


def queries_in_order_page_by_page_to_the_end():
    api = client()
    found, remaining = [], 1
    while remaining:
        data = call(api, "query", {
            "object": "APBILL",
            "select": {"field": ["RECORDNO", "TOTALENTERED"]},
            "filter": {"greaterthan": {"field": "TOTALENTERED", "value": "1000"}},
            "orderby": {"order": {"field": "RECORDNO", "descending": ""}},
            "pagesize": "9",
            "offset": str(len(found)),
        })
        found += data.find_nodes_with_tag("APBILL")
        remaining = int(data.get_xml_attr("numremaining"))
        assert int(data.get_xml_attr("totalcount")) == len(found) + remaining
    wanted = [bill for bill in records("APBILL") if Decimal(bill["TOTALENTERED"]) > 1000]
    assert [str(bill["RECORDNO"]) for bill in found] == [bill["RECORDNO"] for bill in wanted][::-1]
    assert len(wanted) > 9


def reads_one_record():
    bill = records("APBILL")[2]
    data = call(client(), "read", {"object": "APBILL", "keys": bill["RECORDNO"], "fields": "*"})
    assert str(data["APBILL"]["VENDORID"]) == bill["VENDORID"]
    lines = [line for line in records("APBILLITEM") if line["RECORDKEY"] == bill["RECORDNO"]]
    assert len(list(data.find_nodes_with_tag("apbillitem"))) == len(lines)


def looks_up_and_inspects():
    api = client()
    fields = call(api, "lookup", {"object": "VENDOR"}).find_nodes_with_tag("ID")
    assert [str(field) for field in fields] == list(records("VENDOR")[0])
    found = api.inspect().find_nodes_with_tag("type")
    assert sorted(one.get_xml_attr("typename") for one in found) == objects()
    for answer in (api.inspect("APBILL", detail=True), api.inspect(name="APBILL", detail=True)):
        names = [str(name) for name in answer.find_nodes_with_tag("Name")]
        assert names == list(records("APBILL")[0])


def learns_of_a_wrong_password():
    fails(IntacctException, ["Sign-in information is incorrect"], client(USER_PW="wrong").get_session_id)


def learns_of_a_wrong_sender():
    fails(IntacctException, ["password"], client(SENDER_PW="wrong").get_session_id)


def learns_of_an_unknown_field_and_an_unknown_object():
    api = client()
    fails(IntacctException, ["NOSUCHFIELD"], lambda: api.read_by_query("VENDOR", "NOSUCHFIELD = 1"))
    fails(IntacctException, ["NOSUCHOBJECT not found"], lambda: api.inspect("NOSUCHOBJECT"))


def learns_of_the_end_of_its_session():
    api = client()
    api.read_by_query("DEPARTMENT", "")
    expire_sessions()
    fails(IntacctException, ["Invalid session"], lambda: api.read_by_query("DEPARTMENT", ""))


run([
    opens_a_session_and_goes_on_with_it,
    opens_a_session_of_an_entity,
    reads_by_query_page_by_page_to_the_end,
    reads_by_query_with_conditions,
    queries_in_order_page_by_page_to_the_end,
    reads_one_record,
    looks_up_and_inspects,
    learns_of_a_wrong_password,
    learns_of_a_wrong_sender,
    learns_of_an_unknown_field_and_an_unknown_object,
    learns_of_the_end_of_its_session,
])
