"""Reads a page file as Python programs do, once for each line on the standard input, and says how
many nanoseconds of processor time that took.

    read_page.py taps FILE    xmltodict, then JSON and back, as published taps do
    read_page.py lxml FILE    lxml's tree to lines of JSON with orjson

First it says how many records it reads.
"""

import json
import sys
import time


def taps():
    import xmltodict

    def read(body):
        answer = json.loads(json.dumps(xmltodict.parse(body)))
        data = answer["response"]["operation"]["result"]["data"]
        return next(value for name, value in data.items() if not name.startswith("@"))

    return read, len


def lxml():
    import lxml.etree
    import orjson

    def read(body):
        data = lxml.etree.fromstring(body).find("operation/result/data")
        return b"".join(
            orjson.dumps({field.tag: field.text for field in record}) + b"\n" for record in data
        )

    return read, lambda lines: lines.count(b"\n")


def main():
    way, path = sys.argv[1:]
    try:
        read, count = {"taps": taps, "lxml": lxml}[way]()
    except ImportError as error:
        sys.exit(f"there is no Python package {error.name}")
    with open(path, "rb") as file:
        body = file.read()
    print(count(read(body)), flush=True)
    for _ in sys.stdin:
        begin = time.process_time_ns()
        read(body)
        print(time.process_time_ns() - begin, flush=True)


main()
