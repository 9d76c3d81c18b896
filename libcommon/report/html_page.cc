#include "report/html_page.h"

#include <fmt/format.h>

#include "base/version.h"
#include "report/markup.h"

namespace slim {
namespace {

constexpr std::string_view kStyle = R"(
:root { --ink: #1c2024; --dim: #60646c; --line: #d9d9e0; --paper: #fff; --soft: #f6f6f8;
  --error: #c62a2f; --warning: #a8590a; --note: #5b5fc7; --ok: #1f7a3d; }
@media (prefers-color-scheme: dark) { :root { --ink: #edeef0; --dim: #a0a4ab; --line: #3a3c42;
  --paper: #15161a; --soft: #1f2126; --error: #ff6369; --warning: #ffa94d; --note: #9ea2ff; --ok: #4cc38a; } }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 0 auto;
  max-width: 75rem; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.35rem; margin: 0 0 1.5rem; } h2 { font-size: 1.1rem; margin: 0; overflow-wrap: anywhere; }
h3 { font-size: .95rem; margin: 1.75rem 0 .5rem; }
section { border: 1px solid var(--line); border-radius: .5rem; padding: 1.25rem; margin: 0 0 1.5rem; }
.facts, .why { color: var(--dim); } .verdict { font-weight: 600; }
.error { color: var(--error); } .warning { color: var(--warning); } .note { color: var(--note); }
.ok { color: var(--ok); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .6rem; text-align: left; }
thead th { vertical-align: bottom; font-weight: 600; white-space: nowrap; }
td.count { text-align: center; font-variant-numeric: tabular-nums; font-weight: 600; }
tbody th { font: .85rem ui-monospace, monospace; white-space: nowrap; }
details { border-top: 1px solid var(--line); padding: .6rem 0; } summary { cursor: pointer; }
summary code { font-weight: 600; } code, li { font-family: ui-monospace, monospace; font-size: .85rem; }
ul { margin: .5rem 0; padding-left: 1.25rem; } li { overflow-wrap: anywhere; margin: .2rem 0; }
p { margin: .3rem 0; })";

}  // namespace

std::string DumpHtml(const HtmlPage& page) {
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"generator\" content=\"{0} {1}\">\n"
      "<title>{0}: {2}</title>\n<style>{3}{4}</style></head>\n<body>\n"
      "<h1>{0}: {5}</h1>\n{6}</body></html>\n",
      page.tool, kVersion, EscapeMarkup(page.title), kStyle, page.style, EscapeMarkup(page.heading),
      page.body);
}

}  // namespace slim
