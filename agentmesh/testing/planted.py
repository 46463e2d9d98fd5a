"""Forty secrets of all kinds, for tests that look for them. None of them is anybody's.

Keys are put together here, so that no line of a file looks like a live one.
"""

EMAILS = (
    "ann.lee@example.com",
    "Bob+orders@mail.example.co.uk",
    "o'neil@example.org",
    "j\u00fcrgen@m\u00fcller.example",
    "x_y-z@sub.domain.example",
    "carol@example.\u200bcom",
    "dave\uff20example.net",
    "e.v.e@xn--bcher-kva.example",
)
CARDS = (
    "4111 1111 1111 1111",
    "5555-5555-5555-4444",
    "378282246310005",
    "6011 0009 9013 9424",
    "3056 930902 5904",
    "\uff14\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11",
    "3530.1113.3330.0000",
)
PHONES = (
    "+49 171 1234567",
    "+1 (415) 555-2671",
    "0044 20 7946 0958",
    "555-123-4567",
    "(212) 555-0187",
    "030 12345678",
    "06 12 34 56 78",
)
IBANS = ("DE89 3704 0044 0532 0130 00", "GB29NWBK60161331926819", "fr14 2004 1010 0505 0001 3m02 606")
KEYS = (
    "sk-" + "proj-aB3dE5fG7hJ9kL1mN3pQ",
    "AKIA" + "IOSFODNN7EXAMPLE",
    "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a",
    "xoxb-" + "123456789012-abcdefGHIJKL",
    "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0",
    "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc",
    "AIza" + "SyA1234567890abcdefghijklmnopqrstuv",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEAx3Zq9Qp\nLk2vT7mKc4RwYb8Nf3Zx9QpL\n-----END RSA PRIVATE KEY-----",
    "9b74c9897bac770ffc029102a200c5de",
    "Zx9QpL2vT7mKc4RwYb8Nf3Zx9QpLk2vT",
    "glpat-" + "x1y2z3A4B5C6D7E8F9G0",
)
CUSTOMERS = ("C-123456", "c-654321", "C-000\u200b777", "C-424242")
PLANTED = (*EMAILS, *CARDS, *PHONES, *IBANS, *KEYS, *CUSTOMERS)
CUSTOMER = {"customer": r"\bC-\d{6}\b"}
