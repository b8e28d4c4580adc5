"""httpx over HTTP/2: httpx_client.py URL AUTHORITY SITE"""

import asyncio
import pathlib
import ssl
import sys

import httpx


async def main(url, authority, site):
    site = pathlib.Path(site)
    trusted = ssl.create_default_context(cafile=authority)
    async with httpx.AsyncClient(http2=True, verify=trusted, base_url=url, timeout=30) as client:
        def expect(response, status):
            assert response.http_version == "HTTP/2", response.http_version
            assert response.status_code == status, (response.url, response.status_code)
            return response

        text = (site / "page.txt").read_bytes()
        first = expect(await client.get("/page.txt"), 200)
        assert first.content == text
        tag = first.headers["etag"]
        expect(await client.get("/page.txt", headers={"if-none-match": tag}), 304)
        expect(await client.get("/page.txt", headers={"if-match": '"other"'}), 412)
        part = {"range": "bytes=5-9", "accept-encoding": "identity"}
        part = expect(await client.get("/page.txt", headers=part), 206)
        assert part.content == text[5:10], part.content
        head = expect(await client.head("/page.txt"), 200)
        assert head.headers["content-length"] == first.headers["content-length"] and head.content == b""
        expect(await client.post("/page.txt", content=b"x" * 100_000), 405)
        expect(await client.get("/no-such-page"), 404)
        expect(await client.request("OPTIONS", "/page.txt"), 204)

        async def upload():
            for _ in range(20):
                yield b"y" * 10_000
        expect(await client.post("/page.txt", content=upload()), 405)

        names = [f"pictures/{number % 36:02}.png" for number in range(300)]
        for response, name in zip(await asyncio.gather(*(client.get(name) for name in names)), names):
            assert expect(response, 200).content == (site / name).read_bytes(), name
        # A download that is given up disturbs no other.
        async with client.stream("GET", "/large.bin") as large:
            async for _ in large.aiter_bytes():
                break
        assert expect(await client.get("/page.txt"), 200).content == text
    print(f"httpx {httpx.__version__}: 300 responses at a time, conditions, ranges, uploads")


asyncio.run(main(*sys.argv[1:])) if len(sys.argv) == 4 else sys.exit(__doc__)
