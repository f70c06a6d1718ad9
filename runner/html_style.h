// The style sheet of report.html. Dark text on white, system fonts, nothing loaded; colour is never
// the only sign of anything.
#pragma once

#include <string_view>

namespace gf {

inline constexpr std::string_view kReportStyle = R"css(
:root{--ink:#1c2733;--soft:#56636f;--line:#d8dee4;--wash:#f5f7f9;--good:#1d6b3c;--bad:#a3211b;--warn:#7a4b00;--note:#1f4e8c}
*{box-sizing:border-box}
html{color-scheme:light}
body{margin:0;background:#fff;color:var(--ink);font:15px/1.5 "Segoe UI",Roboto,"Helvetica Neue",Arial,"Noto Sans",sans-serif}
main,header.top,footer{max-width:1120px;margin:0 auto;padding:0 28px}
header.top{padding-top:32px}
h1{font-size:27px;line-height:1.25;margin:0 0 4px;font-weight:600}
h2{font-size:19px;margin:40px 0 10px;padding-bottom:5px;border-bottom:1px solid var(--line);font-weight:600}
h3{font-size:15px;margin:20px 0 6px;font-weight:600}
h4{font-size:14px;margin:16px 0 4px;font-weight:600}
p{margin:6px 0}
a{color:var(--note)}
.soft{color:var(--soft)}
.mono,code{font-family:ui-monospace,"SFMono-Regular",Consolas,"Liberation Mono",monospace;font-size:12.5px;overflow-wrap:anywhere}
.facts{display:grid;grid-template-columns:max-content 1fr max-content 1fr;gap:3px 16px;margin:14px 0 0}
.facts dt{color:var(--soft)}
.facts dd{margin:0;overflow-wrap:anywhere}
.verdict{margin:22px 0 0;padding:16px 20px;border:1px solid var(--line);border-left:6px solid var(--soft);background:var(--wash)}
.verdict.good{border-left-color:var(--good)}
.verdict.bad{border-left-color:var(--bad)}
.verdict strong{display:block;font-size:20px;line-height:1.35;font-weight:600}
.banner{margin:12px 0 0;padding:10px 20px;border:1px solid #e2c48a;border-left:6px solid #b07a1e;background:#fdf6e7;color:#4d3000}
.banner.alarm{border-color:#e3aaa7;border-left-color:var(--bad);background:#fcefee;color:#6d1510}
.tiles{display:grid;grid-template-columns:repeat(5,1fr);gap:12px;margin:16px 0 0}
.tile{border:1px solid var(--line);padding:10px 14px}
.tile b{display:block;font-size:25px;line-height:1.25;font-weight:600}
.tile span{color:var(--soft);font-size:13px}
table{border-collapse:collapse;width:100%;margin:8px 0 0;font-size:14px}
th,td{text-align:left;vertical-align:top;padding:6px 10px;border-bottom:1px solid var(--line);overflow-wrap:anywhere}
th{font-weight:600;color:var(--soft);font-size:13px;border-bottom:2px solid var(--line)}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
table.fixed{table-layout:fixed}
col.c-sev{width:86px}col.c-res{width:130px}col.c-rule{width:36%}col.c-kind{width:90px}col.c-by{width:80px}col.c-digest{width:165px}col.c-name{width:190px}
svg.bar{display:block;width:100%;height:14px}
.b-pass{fill:#3b8f5e}.b-fail{fill:#c24a43}.b-rev{fill:#d9a441}.b-na{fill:#c3ccd4}
.key{display:inline-block;margin-right:18px;color:var(--soft);font-size:13px}
.key svg{width:11px;height:11px;margin-right:5px;vertical-align:-1px}
.tag{display:inline-block;padding:0 7px;border:1px solid var(--line);border-radius:3px;font-size:12.5px;line-height:19px;background:#fff;white-space:nowrap}
.t-good{color:var(--good);border-color:#a5d0b5;background:#f0f8f3}
.t-bad{color:var(--bad);border-color:#e3aaa7;background:#fcefee}
.t-warn{color:var(--warn);border-color:#e2c48a;background:#fdf6e7}
.t-note{color:var(--note);border-color:#b3c8e3;background:#f0f5fb}
.head,.rule>summary{display:grid;grid-template-columns:80px minmax(0,1fr) 112px 112px 128px 62px;gap:12px;padding:7px 8px 7px 24px;align-items:start}
.head{color:var(--soft);font-weight:600;font-size:13px;border-bottom:2px solid var(--line);margin-top:8px}
.rule{border-bottom:1px solid var(--line)}
.rule>summary{cursor:pointer;list-style:none;position:relative}
.rule>summary::-webkit-details-marker{display:none}
.rule>summary::before{content:"\25B8";position:absolute;left:7px;color:var(--soft)}
.rule[open]>summary::before{content:"\25BE"}
.rule>summary:hover,.rule[open]>summary{background:var(--wash)}
.rule>summary:focus-visible,a:focus-visible{outline:2px solid var(--note);outline-offset:1px}
.rule:target>summary{background:#eaf1fa}
.rule .name{overflow-wrap:anywhere}
.rule .name .mono{display:block;color:var(--soft)}
.rule .body{padding:2px 24px 18px 24px}
pre{margin:4px 0 8px;padding:9px 12px;background:var(--wash);border:1px solid var(--line);font:12.5px/1.45 ui-monospace,"SFMono-Regular",Consolas,"Liberation Mono",monospace;white-space:pre-wrap;overflow-wrap:anywhere;max-height:420px;overflow:auto}
.ctl{color:var(--bad);background:#fcefee;border-bottom:1px dotted var(--bad)}
.attempt{border-left:3px solid var(--line);padding-left:14px;margin:10px 0}
nav{margin:18px 0 0;font-size:14px}
nav a{margin-right:18px;white-space:nowrap}
footer{margin-top:44px;padding-top:14px;padding-bottom:36px;border-top:1px solid var(--line);color:var(--soft);font-size:13px}
@media (max-width:760px){.tiles{grid-template-columns:1fr 1fr}.facts{grid-template-columns:max-content 1fr}.head{display:none}.rule>summary{grid-template-columns:1fr 1fr}.rule .name{grid-column:1/-1}}
@media print{body{font-size:11px}main,header.top,footer{max-width:none;padding:0}nav{display:none}.rule>summary::before{content:""}.rule,tr,.tile,.verdict,.banner{break-inside:avoid}h2,h3{break-after:avoid}thead{display:table-header-group}pre{max-height:none;overflow:visible}a{color:inherit;text-decoration:none}*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}
)css";

}  // namespace gf
