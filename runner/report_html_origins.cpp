// Time, where everything came from, and how to check the report without this program.
#include "runner/html_text.h"
#include "runner/report_html_parts.h"
#include "runner/report_words.h"

namespace gf {
namespace {

using nlohmann::json;

std::string mono(const json& value) { return "<span class=\"mono\">" + html(value) + "</span>"; }

std::string digest_row(const std::string& what, const json& name, const json& digest) {
  return html_row({what, name.is_null() ? "" : html(name), mono(digest)});
}

std::string digests_table(const json& report) {
  const json& digests = report.at("digests");
  std::string rows = digest_row("Job file", nullptr, digests.at("job"));
  if (!digests.at("content").is_null())
    rows += digest_row("SCAP content", digests.at("content").at("name"), digests.at("content").at("digest"));
  for (const json& prompt : digests.at("prompts")) rows += digest_row("Prompt", prompt.at("name"), prompt.at("digest"));
  if (!digests.at("policy").is_null()) rows += digest_row("Policy", nullptr, digests.at("policy"));
  if (!digests.at("trust").is_null()) rows += digest_row("Trust file", nullptr, digests.at("trust"));
  rows += digest_row("Journal, last entry", nullptr, digests.at("journal_head"));
  if (!digests.at("previous_run").is_null())
    rows += digest_row("Journal of the run before", nullptr, digests.at("previous_run"));
  return "<h3>Digests (SHA-384)</h3>\n<table class=\"fixed\"><colgroup><col class=\"c-name\"><col "
         "class=\"c-name\"><col></colgroup><tbody>\n" +
         rows + "</tbody></table>\n";
}

std::string bundles_table(const json& report) {
  std::string rows;
  for (const json& bundle : report.at("bundles")) {
    std::string signers;
    for (const json& signer : bundle.at("signers"))
      signers += (signers.empty() ? "" : "<br>") + html(signer.at("subject")) + "<br><span class=\"mono soft\">key " +
                 html(signer.at("key")) + "</span>";
    rows += html_row({"<span class=\"mono\">" + html(bundle.at("path")) + "</span><br>" + html(bundle.at("stream")) +
                          ", version " + html(bundle.at("version")),
                      mono(bundle.at("digest")), signers.empty() ? "&ndash;" : signers});
  }
  if (rows.empty()) return "<h3>Bundles</h3>\n<p>None.</p>\n";
  return "<h3>Bundles, verified before use</h3>\n<table class=\"fixed\"><thead>" +
         html_row({"Bundle", "Digest", "Signed by"}, "th") + "</thead><tbody>\n" + rows + "</tbody></table>\n";
}

std::string models_table(const json& report) {
  std::string rows;
  for (const json& model : report.at("models")) {
    std::string roles;
    for (const json& role : model.at("roles")) roles += (roles.empty() ? "" : ", ") + html(role);
    rows += html_row({html(model.at("name")) + (model.at("demo") == true ? " " + tag("t-warn", "demonstration") : "") +
                          (model.at("note").is_null() ? "" : "<br>" + html(model.at("note"))),
                      roles, html(model.at("format")) + ", " + html(model.at("bytes")) + " bytes",
                      mono(model.at("digest"))});
  }
  if (rows.empty()) return "<h3>Models</h3>\n<p>No model was used.</p>\n";
  return "<h3>Models</h3>\n<table class=\"fixed\"><thead>" + html_row({"Model", "Roles", "Weights", "Digest"}, "th") +
         "</thead><tbody>\n" + rows + "</tbody></table>\n";
}

std::string content_table(const json& profile) {
  if (profile.is_null()) return "";
  return "<h3>Content</h3>\n<table class=\"fixed\"><colgroup><col class=\"c-name\"><col></colgroup><tbody>\n" +
         html_row({"Benchmark", html(profile.at("content_title")) + ", version " + html(profile.at("version")) +
                                    "<br>" + mono(profile.at("benchmark_id"))}) +
         html_row({"Profile", html(profile.at("profile_title")) + "<br>" + mono(profile.at("profile_id"))}) +
         "</tbody></table>\n";
}

}  // namespace

std::string times_section(const json& report) {
  const json& times = report.at("times");
  std::string rows = html_row({"Whole run", seconds_words(report.at("run").at("seconds").get<double>())});
  for (const json& scan : times.at("scans"))
    rows += html_row({"Scan, " + html(scan.at("phase")) + " (" + html(scan.at("rules")) + " rules)",
                      seconds_words(scan.at("seconds").get<double>())});
  rows += html_row(
      {"Attempts with vetted fixes, added up", seconds_words(times.at("attempt_seconds").at("vetted").get<double>())});
  rows += html_row(
      {"Attempts of the model, added up", seconds_words(times.at("attempt_seconds").at("model").get<double>())});
  return "<h2 id=\"time\">Time</h2>\n<table class=\"fixed\"><tbody>\n" + rows +
         "</tbody></table>\n<p class=\"soft\">Attempts run several at once, so their sum can exceed the whole.</p>\n";
}

std::string origins_section(const json& report) {
  return "<h2 id=\"origins\">Origins and digests</h2>\n" + content_table(report.at("profile")) + bundles_table(report) +
         models_table(report) + digests_table(report);
}

std::string verify_section(const json& report) {
  // A test runs the lines of this block as they stand.
  static constexpr const char* kCommands =
      "openssl cms -verify -binary -inform DER -purpose any -in manifest.json.p7s -content manifest.json -CAfile "
      "anchor.pem -out /dev/null\n"
      "tr '{' '\\n' < manifest.json | sed -n 's/^\"name\":\"\\([^\"]*\\)\",\"sha384\":\"\\([0-9a-f]*\\)\".*/\\2  "
      "\\1/p' | sha384sum --check --strict\n";
  return "<h2 id=\"verify\">How to verify this report</h2>\n"
         "<p>The files of this report are listed with size and SHA-384 in <code>manifest.json</code>, and "
         "<code>manifest.json.p7s</code> is a detached CMS signature over it. With stock tools, in the report&#39;s "
         "folder, where "
         "<code>anchor.pem</code> is the certificate that your organisation trusts for reports:</p>\n<pre "
         "id=\"commands\">" +
         html(std::string_view(kCommands), HtmlLines::keep) +
         "</pre>\n<p>The first command must say that the verification was successful, the second <code>OK</code> for "
         "each file. "
         "<code>gf-report verify . --trust trust.toml</code> checks besides that no file is missing or extra, that the "
         "journal&#39;s chain is "
         "whole, and that this page and report.json say exactly what the journal says. The signed journal of run " +
         html(report.at("run").at("id")) + " ends with the entry <span class=\"mono\">" +
         html(report.at("digests").at("journal_head")) + "</span>.</p>\n";
}

}  // namespace gf
