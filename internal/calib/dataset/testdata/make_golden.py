"""Writes small images and, in golden.npz, what Pillow makes of them.

Needs pillow and numpy. Run in this folder: python make_golden.py

Keys of golden.npz: decode:FILE is the image in RGB (or grey); resize:W:H, reduced with BILINEAR;
short24crop20 is torchvision's Resize(24), CenterCrop(20) of scene-420.jpg.
"""
import numpy as np
from PIL import Image

W, H = 45, 35
y, x = np.mgrid[0:H, 0:W]
rng = np.random.default_rng(0)
scene = np.stack([
    127 + 120 * np.sin(x / 5) * np.cos(y / 7),
    255 * ((x // 9 + y // 7) % 2),
    (x * 5 + y * 3) % 256,
], -1)
scene = np.clip(scene + rng.normal(0, 6, scene.shape), 0, 255).astype("u1")
img = Image.fromarray(scene)

golden = {}


def keep(name, image, **options):
    image.save(name, **options)
    back = Image.open(name)
    golden["decode:" + name] = np.asarray(back.convert("L" if back.mode == "L" else "RGB"))


for name, subsampling in (("444", 0), ("422", 1), ("420", 2)):
    keep(f"scene-{name}.jpg", img, quality=90, subsampling=subsampling)
keep("progressive.jpg", img, quality=80, subsampling=2, progressive=True)
keep("grey.jpg", img.convert("L"), quality=90)
keep("narrow.jpg", img.crop((0, 0, 4, 9)), quality=90, subsampling=2)
keep("tall.jpg", img.crop((0, 0, 1, 9)), quality=90, subsampling=2)
keep("scene.png", img)
keep("grey.png", img.convert("L"))
keep("palette.gif", img.quantize(32))
keep("palette.png", img.quantize(16))
rgba = np.dstack([scene, (x * 5 % 256).astype("u1")])
keep("alpha.png", Image.fromarray(rgba))
keep("scene.bmp", img)
keep("scene.tif", img)

for w, h in ((20, 15), (45, 15), (20, 35), (90, 70), (7, 50), (1, 1), (44, 34)):
    golden[f"resize:{w}:{h}"] = np.asarray(img.resize((w, h), Image.BILINEAR))
golden["grey:20:15"] = np.asarray(img.convert("L").resize((20, 15), Image.BILINEAR))

jpg = Image.open("scene-420.jpg")
short = jpg.resize((int(24 * W / H), 24), Image.BILINEAR)
left, top = round((short.width - 20) / 2), round((short.height - 20) / 2)
golden["short24crop20"] = np.asarray(short.crop((left, top, left + 20, top + 20)))
np.savez_compressed("golden.npz", **golden)
