"""Forms of every odd kind that senders send; `test_multipart_as_go.py` holds what Go makes of them.

After a change here, write Go's verdicts anew, from this repository's top:
``python -m tests.unit.ingress.multipart_forms | go run tests/unit/ingress/go_multipart/main.go >
tests/unit/ingress/go_multipart/verdicts.json``
"""

import base64
import json
from typing import Final

B: Final = b"bOuNdArY"
FORM: Final = "multipart/form-data; boundary=bOuNdArY"
TYPE: Final = b"Content-Type: application/vnd.redhat.ols.periodic+tar\r\n"
FILE: Final = b'form-data; name="file"; filename="a.tgz"'


def part(
    disposition: bytes | None = FILE, headers: bytes = TYPE, data: bytes = b"payload\r\n--bOuNd\n"
) -> bytes:
    """One part, its boundary in front."""
    first = b"" if disposition is None else b"Content-Disposition: " + disposition + b"\r\n"
    return b"--" + B + b"\r\n" + first + headers + b"\r\n" + data + b"\r\n"


END: Final = b"--" + B + b"--\r\n"
GOOD: Final = part() + END
OTHER: Final = b'form-data; name="other"'


def lf(body: bytes) -> bytes:
    """The same with bare line feeds."""
    return body.replace(b"\r\n", b"\n")


def qp(data: bytes, encoding: bytes = b"quoted-printable") -> bytes:
    """A form whose file is in an encoding."""
    return part(headers=TYPE + b"Content-Transfer-Encoding: " + encoding + b"\r\n", data=data) + END


DISPOSITIONS: Final = {
    "plain": FILE,
    "tokens": b"form-data; name=file; filename=a.tgz",
    "upper-case": b'FORM-DATA; NAME="file"; FileName="a.tgz"',
    "tight": b'form-data;name="file";filename="a.tgz"',
    "wide": b'form-data ;\t name = "file" ;  filename = "a.tgz" ',
    "trailing-semicolon": FILE + b";",
    "two-trailing-semicolons": FILE + b";;",
    "filename*": b"form-data; name=\"file\"; filename*=UTF-8''a%20b.tgz",
    "filename*-of-language": b"form-data; name=\"file\"; filename*=us-ascii'en'a.tgz",
    "filename*-latin-1": b"form-data; name=\"file\"; filename*=iso-8859-1''a.tgz",
    "filename*-without-charset": b"form-data; name=\"file\"; filename*=''a.tgz",
    "filename*-without-quotes": b'form-data; name="file"; filename*=a.tgz',
    "filename*-one-quote": b'form-data; name="file"; filename*=utf-8\'a.tgz',
    "filename*-bad-escape": b"form-data; name=\"file\"; filename*=utf-8''a%2.tgz",
    "filename*-bad-beside-filename": FILE + b"; filename*=utf-8''a%zz",
    "filename*-not-utf-8": b"form-data; name=\"file\"; filename*=utf-8''a%ff.tgz",
    "filename*0": b'form-data; name="file"; filename*0="a"; filename*1=".tgz"',
    "filename*0*": b"form-data; name=\"file\"; filename*0*=utf-8''a%20; filename*1*=b; filename*2=.tgz",
    "filename*1-alone": b'form-data; name="file"; filename*1="a"',
    "filename*0-empty": b'form-data; name="file"; filename*0=""',
    "name*": b"form-data; name*=utf-8''file; filename=a",
    "name*0": b"form-data; name*0=fi; name*1=le; filename=a",
    "name-not-utf-8": b'form-data; name="fil\xe9"; filename="a.tgz"',
    "filename-not-utf-8": b'form-data; name="file"; filename="caf\xe9.tgz"',
    "filename-utf-8": 'form-data; name="file"; filename="café.tgz"'.encode(),
    "filename-empty": b'form-data; name="file"; filename=""',
    "filename-blank": b'form-data; name="file"; filename=" "',
    "filename-token-empty": b'form-data; name="file"; filename=',
    "filename-with-quote": b'form-data; name="file"; filename="a\\"b; name=upload.tgz"',
    "filename-with-backslashes": b'form-data; name="file"; filename="C:\\dir\\a.tgz"',
    "filename-ends-in-backslash": b'form-data; name="file"; filename="C:\\dir\\"',
    "filename-with-percent": b'form-data; name="file"; filename="a%22b.tgz"',
    "filename-with-path": b'form-data; name="file"; filename="../../etc/passwd"',
    "filename-unquoted-blank": b'form-data; name="file"; filename=a b.tgz',
    "filename-unquoted-slash": b'form-data; name="file"; filename=a/b.tgz',
    "filename-unquoted-braces": b'form-data; name="file"; filename={a}.tgz',
    "filename-unclosed": b'form-data; name="file"; filename="a.tgz',
    "filename-twice-equal": FILE + b'; filename="a.tgz"',
    "filename-twice": FILE + b'; filename="b.tgz"',
    "name-twice": FILE + b"; name=upload",
    "name-empty": b'form-data; name=""; filename="a.tgz"',
    "name-missing": b'form-data; filename="a.tgz"',
    "name-upper-case": b'form-data; name="File"; filename="a.tgz"',
    "name-blank-behind": b'form-data; name="file "; filename="a.tgz"',
    "parameter-without-value": FILE + b"; creation-date",
    "parameter-unknown": FILE + b"; size=12",
    "parameter-quoted-semicolon": FILE + b'; x="a;b"',
    "no-semicolon": b'form-data name="file"; filename="a.tgz"',
    "comma": b'form-data, name="file"; filename="a.tgz"',
    "attachment": b'attachment; name="file"; filename="a.tgz"',
    "attachment-type": b'a/b; name="file"; filename="a.tgz"',
    "empty": b"",
    "no-type": b'; name="file"; filename="a.tgz"',
    "folded": b'form-data; name="file";\r\n\tfilename="a.tgz"',
    "folded-twice": b'form-data;\r\n name="file";\r\n   filename="a.tgz"  ',
    "no-break-space": 'form-data; name="file";\u00a0filename="a.tgz"'.encode(),
}

HEADERS: Final = {
    "type-blanks-behind": b"Content-Type: application/gzip \t \r\n",
    "type-blanks-before": b"Content-Type:  \tapplication/gzip\r\n",
    "type-no-blank": b"Content-Type:application/gzip\r\n",
    "type-twice": b"Content-Type: application/gzip\r\nContent-Type: text/plain\r\n",
    "type-lower-case": b"content-type: application/gzip\r\n",
    "type-blank-before-colon": b"Content-Type : application/gzip\r\n",
    "type-blank-in-name": b"Content Type: application/gzip\r\n",
    "type-folded": b"Content-Type: application/gzip;\r\n charset=binary\r\n",
    "type-not-utf-8": b"Content-Type: application/gzip\xff\r\n",
    "type-missing": b"",
    "disposition-twice": b'Content-Disposition: form-data; name="x"\r\n',
    "length-wrong": TYPE + b"Content-Length: 3\r\n",
    "length-no-number": TYPE + b"Content-Length: many\r\n",
    "40-headers": TYPE + b"".join(b"X-%d: y\r\n" % n for n in range(40)),
    "9000-headers": TYPE + b"".join(b"X-%d: y\r\n" % n for n in range(9000)),
    "10001-headers": b"X: y\r\n" * 10_001,
    "20-kib-line": TYPE + b"X: " + b"y" * 20_480 + b"\r\n",
    "64-kib": TYPE + b"".join(b"X-%d: %s\r\n" % (n, b"y" * 1000) for n in range(64)),
    "200-kib-line": TYPE + b"X: " + b"y" * 200_000 + b"\r\n",
    "no-colon": TYPE + b"junk\r\n",
    "no-name": TYPE + b": x\r\n",
    "nul-in-value": TYPE + b"X: a\0b\r\n",
    "control-in-value": TYPE + b"X: a\x01b\r\n",
    "tab-in-value": TYPE + b"X: a\tb\r\n",
    "cr-in-value": TYPE + b"X: a\rb\r\n",
    "invalid-name": TYPE + b"X(: y\r\n",
    "name-with-braces": TYPE + b"X{}: y\r\n",
    "name-not-ascii": TYPE + b"X\xe9: y\r\n",
    "name-of-digits": TYPE + b"1-x: y\r\n",
    "empty-value": TYPE + b"X:\r\nY: \r\n",
    "blank-line-folded": TYPE + b"X: y\r\n \r\nZ: y\r\n",
    "lf-among-crlf": TYPE[:-2] + b"\nX: y\r\n",
}

QUOTED: Final = {
    "plain": b"abc",
    "escapes": b"a=3Db=00=ff=FF",
    "soft-breaks": b"ab=\r\ncd=\nef= \t\r\ngh",
    "line-ends": b"a\r\nb\nc  \r\nd\t\n",
    "blanks-behind": b"a  ",
    "literal-equals": b"a=zz b=4x c==41",
    "equals-at-end": b"ab=",
    "equals-alone": b"=",
    "equals-alone-on-a-line": b"a\r\n=\r\nb",
    "two-equals-at-end": b"ab==",
    "blanks-after-equals-at-end": b"ab= ",
    "one-digit-at-end": b"ab=4",
    "high-bytes": b"\x80\xff",
    "control": b"a\x01b",
    "delete": b"a\x7fb",
    "cr-inside": b"a\rb",
    "empty": b"",
    "line-of-4095": b"x" * 4095 + b"\nb",
    "line-of-4096": b"x" * 4096 + b"\nb",
    "long-last-line": b"x" * 5000,
    "boundary-encoded": b"=0D=0A--bOuNdArY--=0D=0A",
}

BODIES: Final = {
    "good": GOOD,
    "line-feeds": lf(GOOD),
    "line-feeds-with-crlf-inside": lf(part()).replace(b"payload", b"a\r\nb") + lf(END),
    "line-feeds-then-crlf": lf(part()) + GOOD,
    "line-feeds-then-crlf-end": lf(part()) + END,
    "crlf-then-line-feeds": part() + lf(GOOD),
    "crlf-then-line-feed-end": part() + lf(END),
    "crlf-with-line-feed-headers": b"--" + B + b"\r\n" + lf(GOOD.split(b"\r\n", 1)[1][:-22]) + b"\r\n" + END,
    "blanks-after-boundary": GOOD.replace(B + b"\r\n", B + b" \t \r\n"),
    "blanks-after-end": GOOD[:-2] + b"  \r\n",
    "blanks-before-boundary": b" " + GOOD,
    "text-after-boundary": GOOD.replace(B + b"\r\n", B + b"x\r\n"),
    "text-after-inner-boundary": part(OTHER) + GOOD.replace(B + b"\r\n", B + b" x\r\n"),
    "text-after-end": GOOD[:-2] + b"x\r\n",
    "no-newline-at-end": GOOD[:-2],
    "blanks-at-end": GOOD[:-2] + b" ",
    "cr-at-end": GOOD[:-1],
    "half-end": GOOD[:-3],
    "no-end": GOOD[:-4],
    "no-end-boundary": part(),
    "epilogue": GOOD + b"anything\r\n" + part(b'form-data; name="upload"; filename=b') + END,
    "preamble": b"This is a form.\r\n\r\n" + GOOD,
    "preamble-with-line-feed": b"This is a form.\n" + GOOD,
    "preamble-that-ends-in-boundary": b"x--" + B + b"\r\n" + GOOD,
    "preamble-line-of-4096": b"x" * 4095 + b"\n" + GOOD,
    "preamble-line-of-4097": b"x" * 4096 + b"\n" + GOOD,
    "preamble-of-many-lines": b"x\r\n" * 5000 + GOOD,
    "blank-line-first": b"\r\n" + GOOD,
    "end-first": END + GOOD,
    "empty": b"",
    "end-alone": END,
    "nearly-boundaries": part(data=b"\r\n--bOuNdArYx\r\n--bOuNdArY-\r\n--bOuNdArY-x\r\n--bOuNdAr\r\r\n-")
    + END,
    "nearly-boundary-first": part(data=b"--bOuNdArYx") + END,
    "boundary-at-start": part(data=b"")[:-2] + END,
    "boundary-with-lf-inside": part(data=b"a\n--bOuNdArY\nb") + END,
    "boundary-then-end-in-data": part(data=b"a\r\n--bOuNdArY\r\n\r\nb") + END,
    "boundary-blank-text-in-data": part(data=b"a\r\n--bOuNdArY b") + END,
    "boundary-tab-then-cr-in-data": part(data=b"a\r\n--bOuNdArY\t\rb") + END,
    "empty-file": part(data=b"") + END,
    "newlines-only": part(data=b"\r\n\r\n\n") + END,
    "header-begins-with-blank": b"--" + B + b"\r\n " + TYPE + b"\r\nx\r\n" + GOOD,
    "headers-cut": b"--" + B + b"\r\nContent-Type: x",
    "file-then-headers-cut": part() + b"--" + B + b"\r\nContent-Type: x",
    "foreign-then-bad-quoted-printable": (
        part(None, b"Content-Transfer-Encoding: quoted-printable\r\n", b"a==") + GOOD
    ),
    "foreign-without-disposition": part(None) + GOOD,
    "foreign-without-headers": part(None, b"") + GOOD,
    "foreign-attachment": part(b'attachment; filename="x"') + GOOD,
    "foreign-after": part() + part(None, b"") + END,
    "foreign-malformed-disposition": part(b'form-data; name="x') + GOOD,
    "foreign-bad-quoted-printable": (
        part(OTHER, b"Content-Transfer-Encoding: quoted-printable\r\n", b"a==") + GOOD
    ),
    "foreign-nested": (
        part(b"form-data; name=x", b"Content-Type: multipart/mixed; boundary=in\r\n", b"--in--") + GOOD
    ),
    "value-named-file": part(b'form-data; name="file"') + END,
    "value-then-file": part(b'form-data; name="file"') + GOOD,
    "upload": part(b'form-data; name="upload"; filename="u"', data=b"u") + END,
    "upload-then-file": part(b'form-data; name="upload"; filename="u"', data=b"u") + GOOD,
    "file-then-upload": part() + part(b'form-data; name="upload"; filename="u"', data=b"u") + END,
    "two-files": part(data=b"first") + GOOD,
    "metadata-value": part(b'form-data; name="metadata"', b"", b"{}") + GOOD,
    "metadata-file": part(b'form-data; name="metadata"; filename="m"', b"", b"{}") + GOOD,
    "metadata-value-then-file": (
        part(b'form-data; name="metadata"', b"", b"v")
        + part(b"form-data; name=metadata; filename*=utf-8''m", b"", b"f")
        + GOOD
    ),
    "metadata-empty-then-value": (
        part(b"form-data; name=metadata", b"", b"") + part(b"form-data; name=metadata", b"", b"v") + GOOD
    ),
    "metadata-quoted-printable": (
        part(b"form-data; name=metadata", b"Content-Transfer-Encoding: Quoted-Printable\r\n", b"=7B=7D")
        + GOOD
    ),
    "1000-parts": part(OTHER, b"", b"") * 999 + GOOD,
    "1001-parts": part(OTHER, b"", b"") * 1000 + GOOD,
    "base64-is-not-decoded": qp(b"YWJj", b"base64"),
    "encoding-with-blank": qp(b"=41", b"quoted-printable "),
    "encoding-upper-case": qp(b"=41", b"QUOTED-PRINTABLE"),
    "encoding-with-parameter": qp(b"=41", b"quoted-printable; x=y"),
}

CONTENT_TYPES: Final = {
    "plain": FORM,
    "quoted": 'multipart/form-data; boundary="bOuNdArY"',
    "upper-case": "Multipart/Form-Data; BOUNDARY=bOuNdArY",
    "charset": "multipart/form-data; charset=utf-8; boundary=bOuNdArY",
    "trailing-semicolon": FORM + ";",
    "trailing-parameter": FORM + "; x",
    "boundary*": "multipart/form-data; boundary*=utf-8''bOuNdArY",
    "boundary*0": "multipart/form-data; boundary*0=bOuN; boundary*1=dArY",
    "boundary-twice": FORM + "; boundary=x",
    "boundary-twice-equal": FORM + "; boundary=bOuNdArY",
    "boundary-empty": 'multipart/form-data; boundary=""',
    "boundary-missing": "multipart/form-data",
    "boundary-other": "multipart/form-data; boundary=other",
    "boundary-blank-behind": 'multipart/form-data; boundary="bOuNdArY "',
    "mixed": "multipart/mixed; boundary=bOuNdArY",
    "no-semicolon": "multipart/form-data boundary=bOuNdArY",
    "comma": "multipart/form-data, boundary=bOuNdArY",
    "wide": "multipart/form-data ; boundary = bOuNdArY ",
    "empty": "",
}

FORMS: Final[dict[str, tuple[str, bytes]]] = (
    {f"disposition {name}": (FORM, part(text) + END) for name, text in DISPOSITIONS.items()}
    | {f"headers {name}": (FORM, part(headers=text) + END) for name, text in HEADERS.items()}
    | {f"quoted {name}": (FORM, qp(data)) for name, data in QUOTED.items()}
    | {f"body {name}": (FORM, body) for name, body in BODIES.items()}
    | {f"request {name}": (text, GOOD) for name, text in CONTENT_TYPES.items()}
    | {
        "request boundary-of-5000": (
            "multipart/form-data; boundary=" + "x" * 5000,
            GOOD.replace(B, b"x" * 5000),
        )
    }
    | {"request boundary-of-200": ("multipart/form-data; boundary=" + "x" * 200, GOOD.replace(B, b"x" * 200))}
)

if __name__ == "__main__":
    print(
        json.dumps(
            {
                name: {
                    "content_type": base64.b64encode(content_type.encode()).decode(),
                    "body": base64.b64encode(body).decode(),
                }
                for name, (content_type, body) in FORMS.items()
            }
        )
    )
