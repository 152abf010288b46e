#!/usr/bin/env python3
"""Run the seven mains on the data here and show all of it on one page."""
import ast
import subprocess
import sys
from html import escape
from pathlib import Path
from textwrap import dedent

import matplotlib.pyplot as plt
import numpy as np

import make_data
import pictures

HERE = Path(__file__).parent
EDGES = 'White: brighter on the left. Black: brighter on the right'
CAPTIONS = {
    '0-main.py': ('The first digit', EDGES),
    '1-main.py': ('The first digit', 'The same edges, and as large as before'),
    '2-main.py': ('The first digit', 'Larger than before'),
    '3-main.py': ('The first digit', 'Half the rows, half the columns'),
    '4-main.py': ('The first photograph', 'Three colours in, one number out'),
    '5-main.py': ('The first photograph', 'Kernel 1: sharpen',
                  'Kernel 2: upright edges', 'Kernel 3: level edges'),
    '6-main.py': ('The first photograph', 'A quarter of the pixels'),
}

PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Convolutions and pooling</title>
<style>
:root {{ --ink: #1f2328; --soft: #5c636b; --line: #dfdcd5; --paper: #fbfaf7;
  --code: #f1efe9; --mark: #0b62a4; --px: 5px; }}
@media (prefers-color-scheme: dark) {{ :root {{ --ink: #e7e5e0;
  --soft: #a2a8af; --line: #33383e; --paper: #15181b; --code: #1f2327;
  --mark: #7cc0f5; }} }}
@media (max-width: 23rem) {{ :root {{ --px: 4px; }} }}
@media (min-width: 62rem) {{ :root {{ --px: 7px; }} }}
* {{ box-sizing: border-box; margin: 0; }}
body {{ background: var(--paper); color: var(--ink);
  font: 1rem/1.6 system-ui, sans-serif;
  max-width: 70rem; margin: auto; padding: 3rem 1.25rem 2rem; }}
h1 {{ font-size: clamp(1.9rem, 5vw, 2.75rem); line-height: 1.1;
  letter-spacing: -.02em; margin-bottom: 1rem; }}
a {{ color: var(--mark); }}
header + p {{ margin-top: 1rem; }}
header p, footer {{ color: var(--soft); max-width: 42rem; }}
section {{ border-top: 1px solid var(--line); margin-top: 2.5rem;
  padding-top: 2.5rem; display: grid; gap: 1.5rem 3rem;
  grid-template-columns: minmax(0, 1fr); }}
h2 {{ font-size: 1.35rem; line-height: 1.3; margin-bottom: .25rem; }}
h2 span {{ color: var(--mark); margin-right: .4em; }}
pre, .shapes {{
  font: .84rem/1.6 ui-monospace, 'DejaVu Sans Mono', monospace; }}
pre {{ background: var(--code); border-radius: .4rem; white-space: pre-wrap;
  padding: .8rem 1rem; margin: 1rem 0 .8rem; }}
.shapes b {{ color: var(--mark); font-weight: inherit; padding: 0 .3em; }}
.pictures {{ display: grid; grid-template-columns: auto auto;
  gap: 1.5rem .9rem; place-content: start; }}
figure {{ width: min-content; }}
img {{ display: block; width: calc(var(--w) * var(--px));
  image-rendering: pixelated; border-radius: 3px; }}
figcaption {{ color: var(--soft); font-size: .8rem; line-height: 1.4;
  margin-top: .5rem; min-width: calc(26 * var(--px)); }}
figcaption b {{ color: var(--ink); font-weight: 600; display: block; }}
footer {{ border-top: 1px solid var(--line); font-size: .85rem;
  margin-top: 3rem; padding-top: 1.5rem; max-width: none; }}
@media (min-width: 62rem) {{ section {{
  grid-template-columns: minmax(0, 1fr) 30rem; }} }}
</style>
<header>
<h1>Convolutions and pooling</h1>
<p>Seven programs have just run, each on a whole data set. Here are the
calls, the shapes that went in and came out, and what became of the first
image. All pictures are drawn at one scale, so a picture that looks smaller
has fewer pixels.</p>
</header>
{explorer}{sections}
<footer>
{origins}
</footer>
"""

SECTION = """<section>
<div>
<h2><span>{number}</span>{title}</h2>
<p>{sentence}</p>
<pre>{code}</pre>
<p class="shapes">{before} <b>→</b> {after}</p>
</div>
<div class="pictures">
{figures}
</div>
</section>"""

FIGURE = """<figure><img src="{name}" alt="{caption}" style="--w: {w}">
<figcaption><b>{h} × {w}</b>{caption}</figcaption></figure>"""


def section(main, folder):
    """Run one main.

    main: str, its file name
    folder: pathlib.Path, where it saves its pictures
    Returns: str, its part of the page
    """
    run = subprocess.run([sys.executable, HERE / main, '--save', folder],
                         stdout=subprocess.PIPE, text=True)
    if run.returncode:
        sys.exit(f'{main} failed')
    print(f'\n{main}\n{run.stdout}', end='')

    source = (HERE / main).read_text(encoding='utf-8')
    title, _, sentence = ast.get_docstring(ast.parse(source)).partition(': ')
    # What happens between printing the one shape and the other.
    code = source.split('print(')[1].partition('\n')[2]
    code = dedent(code).replace('course.', '').strip()
    before, after = run.stdout.splitlines()

    figures = []
    for n, caption in enumerate(CAPTIONS[main], 1):
        name = f'{Path(main).stem}-{n}.png'
        h, w = plt.imread(folder / name).shape[:2]
        figures.append(FIGURE.format(
            name=escape(name), caption=escape(caption),
            h=h // pictures.ENLARGED, w=w // pictures.ENLARGED))
    return SECTION.format(
        number=escape(main[0]), title=escape(title),
        sentence=escape(sentence[0].upper() + sentence[1:]),
        code=escape(code), before=escape(before),
        after=escape(after), figures='\n'.join(figures))


def origin(file):
    """Tell what a data file is.

    file: str
    Returns: str, a line of the page
    """
    with np.load(file) as data:
        about = str(data['about']) if 'about' in data else 'yours'
    return f'<p>{escape(file)}: {escape(about)}.</p>'


EXPLORER = """<p><a href="explorer.html">Watch it happen: point at any pixel of
these digits and read the arithmetic.</a></p>
"""


def write_explorer(folder):
    """Write the page on which the window can be watched, if convlens is here.

    folder: pathlib.Path
    Returns: str, the link to it, or nothing
    """
    try:
        import convlens
    except ImportError:
        return ''
    with np.load(make_data.STAND_INS[0][0]) as data:
        digits = data['X_train'][:8]
    page = convlens.explore(digits, convlens.filters.sobel_x())
    page.save(folder / 'explorer.html')
    return EXPLORER


def main():
    """Make data, run the mains, write the page and say where it is."""
    if len(sys.argv) != 2:
        sys.exit('usage: demo.py FOLDER')
    folder = Path(sys.argv[1]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    make_data.main()
    sections = [section(main, folder) for main in CAPTIONS]
    origins = [origin(stand_in[0]) for stand_in in make_data.STAND_INS]
    page = folder / 'index.html'
    page.write_text(PAGE.format(explorer=write_explorer(folder),
                                sections='\n'.join(sections),
                                origins='\n'.join(origins)),
                    encoding='utf-8')
    print(f'\nAll of it, with the pictures, on one page:\n{page}')


if __name__ == '__main__':
    main()
