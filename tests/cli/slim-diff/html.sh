# A page that refers to nothing outside itself, by the name of the file alone.
float=$TESTDATA/models/tiny-qwen2
slim-quant "$float" -o w8a8 --type w8a8_dynamic --smooth none -q
slim-diff "$float" w8a8 --prompts $TESTDATA/golden/held-out-text.txt --tokens 48 --windows 2 -o report.html
grep -o '<h2>[A-Z][^<]*' report.html
python3 -c '
import re, xml.dom.minidom
page = open("report.html", encoding="utf-8").read()
assert not re.search(r"(src|href)=|@import|url\(|https?:", page)
for svg in re.findall(r"<svg.*?</svg>", page, re.S):
    xml.dom.minidom.parseString(svg)
'
