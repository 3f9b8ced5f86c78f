"""The style sheet of the report's page: light and dark, on a telephone and on paper."""

from __future__ import annotations

from typing import Final

STYLE: Final = """
:root { color-scheme: light dark; --ground: #fbfaf8; --text: #22252a; --soft: #63686f; --rule: #dcd8d0;
  --card: #ffffff; --good: #1d7445; --bad: #b3401f; --one: #2563a8; --two: #c2571a; --three: #7d8590; }
@media (prefers-color-scheme: dark) { :root { --ground: #16181c; --text: #e6e4df; --soft: #9aa0a8;
  --rule: #33373e; --card: #1e2126; --good: #6cc794; --bad: #f0906b; --one: #7fb2ec; --two: #f0a56b;
  --three: #858c96; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.1rem 4rem; max-width: 62rem; background: var(--ground);
  color: var(--text); font: 1rem/1.55 system-ui, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .2rem; letter-spacing: -.01em; }
h2 { font-size: 1.15rem; margin: 2.6rem 0 .5rem; }
h3 { font-size: .95rem; margin: 0 0 .3rem; }
p { margin: .4rem 0; max-width: 46rem; }
.soft, figcaption, small { color: var(--soft); }
figcaption, small { font-size: .84rem; line-height: 1.4; }
.verdict { font-size: 1.2rem; line-height: 1.4; margin: 1.2rem 0 .8rem; padding-left: .9rem;
  border-left: .25rem solid var(--good); max-width: 46rem; }
.verdict.mixed { border-color: var(--two); }
.verdict.poor { border-color: var(--bad); }
ul.findings { list-style: none; padding: 0; margin: .6rem 0; max-width: 50rem; }
ul.findings li { padding: .4rem 0 .4rem 5.8rem; border-top: 1px solid var(--rule); position: relative; }
ul.findings b.mark { position: absolute; left: 0; font-size: .84rem; line-height: 1.85; }
.good { color: var(--good); } .bad { color: var(--bad); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .4rem .5rem; border-bottom: 1px solid var(--rule); vertical-align: top; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
thead th { font-size: .84rem; font-weight: 600; color: var(--soft); white-space: nowrap; }
td:first-child small { display: block; max-width: 30rem; }
td.drawn { font-weight: 650; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); gap: 1rem; }
.small { grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); }
figure { margin: 0; padding: .7rem; background: var(--card); border: 1px solid var(--rule);
  border-radius: .5rem; break-inside: avoid; }
figure img { display: block; width: 100%; height: auto; image-rendering: pixelated; margin: .2rem 0 .4rem; }
.stack { display: grid; gap: 1rem; }
svg { display: block; width: 100%; height: auto; font: 12px system-ui, sans-serif; }
svg text { fill: var(--soft); } svg .rule { stroke: var(--rule); fill: none; }
polyline { fill: none; stroke-width: 1.6; stroke-linejoin: round; }
.line0 { stroke: var(--one); } .line1 { stroke: var(--two); } .line2 { stroke: var(--three); }
.line2 { stroke-dasharray: 5 4; }
.keys { font-size: .84rem; margin: .2rem 0 0; }
.keys span { margin-right: 1rem; white-space: nowrap; }
.keys span:not(.axis)::before { content: ""; display: inline-block; width: 1.1rem; height: .18rem;
  margin-right: .35rem; vertical-align: middle; background: currentColor; }
.key0 { color: var(--one); } .key1 { color: var(--two); } .key2 { color: var(--three); }
.axis { color: var(--soft); }
dl { display: grid; grid-template-columns: minmax(8rem, max-content) 1fr; gap: .3rem 1.2rem; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
code { font: .86em ui-monospace, "SF Mono", Consolas, monospace; overflow-wrap: anywhere; }
@media (max-width: 34rem) { body { padding-top: 1.2rem; } dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: .5rem; } th, td { padding: .35rem .25rem; } td:first-child small { font-size: .76rem; }
  ul.findings li { padding-left: 0; } ul.findings b.mark { position: static; display: block; } }
@media print { :root { --ground: #fff; --card: #fff; --text: #000; --soft: #444; --rule: #bbb;
  --good: #1d7445; --bad: #b3401f; --one: #2563a8; --two: #c2571a; --three: #6b727c; }
  body { max-width: none; padding: 0; font-size: 10pt; } h2 { break-after: avoid; }
  tr { break-inside: avoid; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""
