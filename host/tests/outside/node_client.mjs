// Node's http2: node_client.mjs URL AUTHORITY SITE

import assert from "node:assert/strict";
import fs from "node:fs";
import http2 from "node:http2";

const [url, authority, site] = process.argv.slice(2);
const session = http2.connect(url, { ca: fs.readFileSync(authority), servername: "localhost" });
const complaints = [];
session.on("error", error => complaints.push(error));
session.on("goaway", code => complaints.push(`GOAWAY ${code}`));

// The status, the fields and the body of one response.
function ask(fields, body, trailers) {
    return new Promise((resolve, reject) => {
        const stream = session.request(fields, { endStream: body === undefined, waitForTrailers: trailers !== undefined });
        stream.on("wantTrailers", () => stream.sendTrailers(trailers));
        const pieces = [];
        let told;
        stream.on("response", fields => { told = fields; });
        stream.on("data", piece => pieces.push(piece));
        stream.on("error", reject);
        stream.on("close", () => resolve({ status: told?.[":status"], fields: told, body: Buffer.concat(pieces), code: stream.rstCode }));
        if (body !== undefined) stream.end(body);
    });
}

const file = name => fs.readFileSync(`${site}/${name}`);
const get = await ask({ ":path": "/page.txt" });
assert.equal(get.status, 200);
assert.equal(session.alpnProtocol, "h2");
assert.deepEqual(get.body, file("page.txt"));
assert.equal((await ask({ ":path": "/page.txt", "if-none-match": get.fields.etag })).status, 304);
const part = await ask({ ":path": "/page.txt", range: "bytes=-7" });
assert.equal(part.status, 206);
assert.deepEqual(part.body, file("page.txt").subarray(-7));
const head = await ask({ ":path": "/page.txt", ":method": "HEAD" });
assert.equal(head.status, 200);
assert.equal(head.body.length, 0);
assert.equal((await ask({ ":path": "/no-such-page" })).status, 404);
const post = await ask({ ":path": "/page.txt", ":method": "POST" }, Buffer.alloc(100_000), { "x-sum": "1" });
assert.equal(post.status, 405);
assert.equal(post.code, 0);

const names = [...Array(300).keys()].map(number => `pictures/${String(number % 36).padStart(2, "0")}.png`);
const all = await Promise.all(names.map(name => ask({ ":path": `/${name}` })));
all.forEach((response, at) => {
    assert.equal(response.status, 200);
    assert.deepEqual(response.body, file(names[at]));
});

// Streams that are given up, and one that goes on beside them.
const large = ask({ ":path": "/tone.wav" });
for (let count = 0; count < 20; count++) {
    await new Promise(resolve => {
        const stream = session.request({ ":path": "/large.bin" });
        stream.once("data", () => stream.close(http2.constants.NGHTTP2_CANCEL));
        stream.on("close", resolve);
    });
}
assert.deepEqual((await large).body, file("tone.wav"));
await new Promise(resolve => session.ping(resolve));
assert.deepEqual(complaints, []);
session.close();
console.log(`Node ${process.version}: 300 streams at a time, conditions, ranges, trailers, 20 given up`);
