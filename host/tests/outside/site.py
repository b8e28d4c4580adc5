"""Makes the pages that `chromium.py` opens: site.py FOLDER"""

import pathlib
import struct
import sys
import wave
import zlib


def picture(width, height, color):
    """A PNG of stripes of a color, large enough that it takes some frames of DATA."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(
        b"\0" + b"".join(bytes(min(255, part + 60 * ((x ^ y) >> 3 & 1)) for part in color) for x in range(width))
        for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    # Stored, not compressed: 58 KiB each.
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 0))
            + chunk(b"IEND", b""))


def main(folder):
    site = pathlib.Path(folder)
    (site / "pictures").mkdir(parents=True, exist_ok=True)
    for number in range(36):
        color = (40 + 5 * number, 200 - 4 * number, 90 + 3 * number)
        (site / "pictures" / f"{number:02}.png").write_bytes(picture(160, 120, color))
    pictures = "".join(f'<img src="pictures/{number:02}.png" alt="" width="80" height="60">' for number in range(36))
    (site / "page.html").write_text(
        f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>loading</title>
<link rel="icon" href="data:,"><link rel="stylesheet" href="style.css">
<h1>A page over one connection</h1><p id="text"></p><main>{pictures}</main>
<script type="module" src="page.mjs"></script></html>""")
    (site / "style.css").write_text(
        "@font-face { font-family: Page; src: url(page.ttf); }\n"
        "body { background: rgb(238, 246, 255); font: 16px Page, serif; margin: 1rem }\n"
        "main { display: grid; grid-template-columns: repeat(auto-fill, 80px); gap: 4px }\n")
    (site / "page.mjs").write_text(
        "import { text } from './text.mjs';\n"
        "await document.fonts.load('16px Page');\n"
        "document.querySelector('#text').textContent = text + (await (await fetch('data.json')).json()).rooms;\n"
        "await Promise.all([...document.images].map(it => it.decode()));\n"
        "document.title = 'done';\n"
        "if (location.search) fetch('page-is-done');\n")
    (site / "text.mjs").write_text("export const text = 'Rooms, as the data has them: ';\n")
    (site / "data.json").write_text('{"rooms": 36}\n')
    fonts = sorted(pathlib.Path("/usr/share/fonts").rglob("*.ttf"))
    if fonts:
        (site / "page.ttf").write_bytes(fonts[0].read_bytes())
    else:
        style = site / "style.css"
        style.write_text(style.read_text().split("\n", 1)[1])
    with wave.open(str(site / "tone.wav"), "wb") as sound:
        sound.setnchannels(2)
        sound.setsampwidth(2)
        sound.setframerate(48000)
        sound.writeframes(bytes(48000 * 4 * 120))
    (site / "sound.html").write_text(
        """<!doctype html><html lang="en"><title>sound</title><link rel="icon" href="data:,">
<audio src="tone.wav" preload="metadata"></audio><script>
const audio = document.querySelector("audio");
audio.onloadedmetadata = () => { audio.currentTime = 100; };
audio.onseeked = () => { document.title = "done"; };
audio.onerror = () => console.error(audio.error.message);
</script></html>""")


if __name__ == "__main__":
    main(*sys.argv[1:]) if len(sys.argv) == 2 else sys.exit(__doc__)
