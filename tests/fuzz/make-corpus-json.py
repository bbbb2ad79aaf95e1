#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes the seeds of fuzz-json into the folder given."""
import os
import sys

OUT = sys.argv[1]
NONE = bytes(4)              # nothing fails
SOME = b"\3\1\2\3"           # one call in 3


def deep(n):
    return b"[" * n + b"]" * n


TEXTS = {
    "record": b'{"epoch":5,"confirmed":true,"clean":false,"synced":false,'
              b'"owner":{"host":"node-1","instance":"00ff","lease_until":-1}}',
    "spaces": b' {\n\t"a" : [ 1 , 2 , null , { } , [ ] ] }\r\n',
    "pem": b'{"ca":"-----BEGIN CERTIFICATE-----\\nAA==\\n-----END"}',
    "escapes": b'["\\"\\\\\\/\\b\\f\\n\\r\\t","\\u0041\\u00e9\\ud83d\\ude00"]',
    "plain-escapes": b'{"a":["\\\"\\\\\\/\\n\\r\\t"]}',
    "bad-escapes": b'["\\ud83d","\\u0000","\\x"]',
    "utf-8": '{"é":"日本","a":"\U0001f600"}'.encode(),
    "bad-utf-8": b'["\xc0\x80\xed\xa0\x80\xff"]',
    "control": b'["a\nb","\x00","\x7f"]',
    "numbers": b"[0,-1,1,999999999999999999,-999999999999999999,"
               b"9223372036854775807,-9223372036854775808,-0,1.5,1e3]",
    "bad-numbers": b"[01,-,+1,1.,.5,1e,0x1]",
    "too-large": b"[9223372036854775808]",
    "twice": b'{"a":1,"b":{"c":1,"c":2}}',
    "escaped-twice": b'{"a":1,"\\u0061":2}',
    "unsorted": b'{"b":1,"a":{"z":0,"y":0},"":2}',
    "long-name": b'{"' + b"n" * 64 + b'":1,"' + b"m" * 63 + b'":2}',
    "depth-16": deep(16),
    "depth-17": deep(17),
    "depth-2049": deep(2049),
    "many": b"{" + b",".join(b'"%d":%d' % (n, n) for n in range(65)) + b"}",
    "commas": b'{"a":1,}',
    "words": b"[true,false,null,truex]",
    "two": b"{} []",
    "none": b"",
    "bare": b'"text"',
    "cut": b'{"a":"b\\',
}

os.makedirs(OUT, exist_ok=True)
for name, text in TEXTS.items():
    for suffix, failing in (("", NONE), ("-failing", SOME)):
        with open(os.path.join(OUT, name + suffix), "wb") as f:
            f.write(failing + text)
