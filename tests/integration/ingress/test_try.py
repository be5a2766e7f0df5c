import pytest
from tests.integration.ingress.harness import *
async def test_it(kafka_url, s3_url):
    import time
    t=time.time()
    async with open_ingress(kafka_url, s3_url) as i:
        print("open", time.time()-t)
        a = await i.upload(b"hello", "abc")
        print(a)
        print(await i.announcement("abc"), await i.statuses("abc"))
        a = await i.upload(b"x"*6_000_000, "big"); print(a.status)
        uid = await i.store.start_multipart(i.bucket, "some/key")
        p=await i.store.put_part(i.bucket, "some/key", uid, 1, b"abc"*10)
        print("unfinished:", await i.unfinished())
        for id in ("x", "x/y", "x/y/z"): print(id, (await i.upload(b"1", id)).status)
        print(await i.left_nothing("abc"), await i.left_nothing("nope"))
        r = await i.raw(request_head("q1", path=UPLOAD+"?metadata=\xff", content_type="multipart/form-data; boundary=\xff", *["Content-Length: 0"]) ); print(r)
        print(time.time()-t)
