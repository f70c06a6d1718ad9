// BenchmarkInfo: rules, texts, references and fixes, as the profile selects and fills them in.
#include "runner/content_reader.h"

#include <libxml/parser.h>
#include <libxml/tree.h>

#include <algorithm>
#include <memory>
#include <regex>
#include <set>

#include "kernels/base/text.h"
#include "runner/oscap_content.h"
#include "runner/oval_paths.h"
#include "runner/questionnaire.h"

namespace gf {
namespace {

using oscap::each;
using oscap::taken;
using oscap::text_or_empty;

constexpr std::string_view kBash = "urn:xccdf:fix:script:sh";
constexpr const char* kLanguage = "en-US";

std::string level_text(xccdf_level_t level) {
  switch (level) {
    case XCCDF_HIGH: return "high";
    case XCCDF_MEDIUM: return "medium";
    case XCCDF_LOW: return "low";
    case XCCDF_INFO: return "info";
    case XCCDF_UNKNOWN:
    case XCCDF_LEVEL_NOT_DEFINED: break;
  }
  return "unknown";
}

std::string strategy_text(xccdf_strategy_t strategy) {
  switch (strategy) {
    case XCCDF_STRATEGY_CONFIGURE: return "configure";
    case XCCDF_STRATEGY_DISABLE: return "disable";
    case XCCDF_STRATEGY_ENABLE: return "enable";
    case XCCDF_STRATEGY_PATCH: return "patch";
    case XCCDF_STRATEGY_POLICY: return "policy";
    case XCCDF_STRATEGY_RESTRICT: return "restrict";
    case XCCDF_STRATEGY_UPDATE: return "update";
    case XCCDF_STRATEGY_COMBINATION: return "combination";
    case XCCDF_STRATEGY_UNKNOWN: break;
  }
  return "unknown";
}

class RuleReader {
 public:
  RuleReader(const OscapContent& content)
      : content_(content), policy_(content.policy()), questions_(content.questionnaires()) {}

  RuleInfo read(xccdf_rule* rule) {
    RuleInfo info;
    auto* item = reinterpret_cast<xccdf_item*>(rule);
    info.id = text_or_empty(xccdf_rule_get_id(rule));
    info.title = text(xccdf_item_get_title(item));
    info.severity = level_text(xccdf_rule_get_severity(rule));
    info.description = text(xccdf_item_get_description(item));
    info.rationale = text(xccdf_rule_get_rationale(rule));
    each(xccdf_rule_get_fixtexts(rule), [&](xccdf_fixtext* fixtext) {
      if (info.fix_text.empty()) info.fix_text = text(xccdf_fixtext_get_text(fixtext));
    });
    read_references(rule, info);
    each(xccdf_rule_get_checks(rule), [&](xccdf_check* check) { read_check(check, info); });
    info.bash_fix = bash_fix(rule);
    OvalPaths paths(content_);
    each(xccdf_rule_get_checks(rule), [&](xccdf_check* check) { paths.add_check(check); });
    info.read_paths = paths.take();
    info.walks_file_system = paths.walks();
    return info;
  }

 private:
  std::string text(oscap_text* text) {
    if (text == nullptr) return {};
    const std::string raw = text_or_empty(oscap_text_get_text(text));
    if (!oscap_text_get_is_html(text) && raw.find('<') == std::string::npos) return plain_text(raw);
    // Null where a <sub> names nothing: then the text is shown as it is.
    char* filled = xccdf_policy_substitute(raw.c_str(), policy_);
    return plain_text(filled == nullptr ? raw : taken(filled));
  }

  std::string text(oscap_text_iterator* texts) {
    std::string found = text(oscap_textlist_get_preferred_text(texts, kLanguage));
    oscap_text_iterator_free(texts);
    return found;
  }

  static void read_references(xccdf_rule* rule, RuleInfo& info) {
    static const std::regex stig_id("[A-Z0-9]+(-[A-Z0-9]+)*-[0-9]{2}-[0-9]{6}");
    static const std::regex sv_id("SV-[0-9]+(r[0-9]+)?_rule");
    std::set<std::string> seen;
    const auto add = [&](const std::string& reference) {
      if (reference.empty() || !seen.insert(reference).second) return;
      info.references.push_back(reference);
      if (info.stig_id.empty() && std::regex_match(reference, stig_id)) info.stig_id = reference;
      if (info.sv_id.empty() && std::regex_match(reference, sv_id)) info.sv_id = reference;
    };
    each(xccdf_rule_get_idents(rule), [&](xccdf_ident* ident) { add(text_or_empty(xccdf_ident_get_id(ident))); });
    each(xccdf_rule_get_references(rule), [&](oscap_reference* reference) {
      add(std::string(trimmed(text_or_empty(oscap_reference_get_title(reference)))));
    });
    // DISA's own content: the version element holds the STIG id, and the rule's id ends with the SV number.
    if (const std::string version = text_or_empty(xccdf_rule_get_version(rule));
        info.stig_id.empty() && std::regex_match(version, stig_id))
      info.stig_id = version;
    std::smatch match;
    static const std::regex ends_with_sv("(?:^|.*_rule_)(SV-[0-9]+r[0-9]+_rule)");
    if (info.sv_id.empty() && std::regex_match(info.id, match, ends_with_sv)) info.sv_id = match[1];
  }

  void read_check(xccdf_check* check, RuleInfo& info) {
    if (xccdf_check_get_complex(check)) {
      each(xccdf_check_get_children(check), [&](xccdf_check* child) { read_check(child, info); });
      return;
    }
    if (!info.check_text.empty()) return;
    if (const char* content = xccdf_check_get_content(check); content != nullptr) {
      info.check_text = plain_text(content);
      return;
    }
    each(xccdf_check_get_content_refs(check), [&](xccdf_check_content_ref* ref) {
      if (info.check_text.empty())
        info.check_text = questions_.text_of(text_or_empty(xccdf_check_content_ref_get_name(ref)));
    });
  }

  // The fix that `oscap xccdf generate fix` takes: of those for bash, the ones without a reboot if any,
  // then the ones of the last low or medium disruption seen, then the first.
  static xccdf_fix* choose_fix(xccdf_rule* rule) {
    std::vector<xccdf_fix*> fixes;
    each(xccdf_rule_get_fixes(rule), [&fixes](xccdf_fix* fix) {
      if (text_or_empty(xccdf_fix_get_system(fix)) == kBash) fixes.push_back(fix);
    });
    const auto reboots = [](xccdf_fix* fix) { return xccdf_fix_get_reboot(fix); };
    if (!std::all_of(fixes.begin(), fixes.end(), reboots)) std::erase_if(fixes, reboots);
    xccdf_level_t disruption = XCCDF_HIGH;
    for (xccdf_fix* fix : fixes)
      if (const xccdf_level_t level = xccdf_fix_get_disruption(fix); level == XCCDF_LOW || level == XCCDF_MEDIUM)
        disruption = level;
    if (disruption != XCCDF_HIGH)
      std::erase_if(fixes, [disruption](xccdf_fix* fix) { return xccdf_fix_get_disruption(fix) != disruption; });
    return fixes.empty() ? nullptr : fixes.front();
  }

  std::optional<RuleInfo::Fix> bash_fix(xccdf_rule* rule) {
    xccdf_fix* fix = choose_fix(rule);
    if (fix == nullptr) return std::nullopt;
    const std::string raw = text_or_empty(xccdf_fix_get_content(fix));
    // A fix whose variables cannot be filled in must not be run.
    char* filled = xccdf_policy_substitute(raw.c_str(), policy_);
    if (filled == nullptr) return std::nullopt;
    std::optional<std::string> script = script_text(taken(filled));
    if (!script) return std::nullopt;
    return RuleInfo::Fix{text_or_empty(xccdf_fix_get_id(fix)),
                         std::string(kBash),
                         std::move(*script),
                         level_text(xccdf_fix_get_complexity(fix)),
                         level_text(xccdf_fix_get_disruption(fix)),
                         strategy_text(xccdf_fix_get_strategy(fix)),
                         xccdf_fix_get_reboot(fix)};
  }

  // Character references and CDATA decoded, comments dropped. No script where an element is left: bash would
  // read its angle brackets.
  static std::optional<std::string> script_text(const std::string& filled) {
    const std::string whole = "<x xmlns:xhtml='http://www.w3.org/1999/xhtml'>" + filled + "</x>";
    const std::unique_ptr<xmlDoc, decltype(&xmlFreeDoc)> document(
        xmlReadMemory(
            whole.data(), static_cast<int>(whole.size()), nullptr, nullptr,
            XML_PARSE_RECOVER | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_NONET | XML_PARSE_NSCLEAN),
        &xmlFreeDoc);
    const xmlNode* root = document ? xmlDocGetRootElement(document.get()) : nullptr;
    if (root == nullptr) return std::nullopt;
    std::string script;
    for (const xmlNode* node = root->children; node != nullptr; node = node->next) {
      if (node->type == XML_ELEMENT_NODE) return std::nullopt;
      if (node->type == XML_TEXT_NODE || node->type == XML_CDATA_SECTION_NODE)
        script += reinterpret_cast<const char*>(node->content);
    }
    return script;
  }

  const OscapContent& content_;
  xccdf_policy* policy_;
  Questionnaires questions_;
};

// XCCDF 1.2, section 7.2.3.3.2: an item with a selected item that it conflicts with, or without one item of
// each list that it requires, is not selected after all.
bool stays_selected(xccdf_policy* policy, xccdf_item* item) {
  const auto is_selected = [policy](const char* id) { return xccdf_policy_is_item_selected(policy, id); };
  if (!is_selected(xccdf_item_get_id(item))) return false;
  bool stays = true;
  each(xccdf_item_get_conflicts(item), [&](const char* id) { stays = stays && !is_selected(id); });
  each(xccdf_item_get_requires(item), [&](oscap_stringlist* alternatives) {
    bool one = false;
    each(oscap_stringlist_get_strings(alternatives), [&](const char* id) { one = one || is_selected(id); });
    stays = stays && one;
  });
  return stays;
}

// As the evaluation walks: what is below a deselected group is not selected.
void add_selected(xccdf_policy* policy, xccdf_item* item, RuleReader& reader, std::vector<RuleInfo>& rules) {
  if (!stays_selected(policy, item)) return;
  if (xccdf_item_get_type(item) == XCCDF_RULE)
    rules.push_back(reader.read(reinterpret_cast<xccdf_rule*>(item)));
  else if (xccdf_item_get_type(item) == XCCDF_GROUP)
    each(xccdf_group_get_content(reinterpret_cast<xccdf_group*>(item)),
         [&](xccdf_item* child) { add_selected(policy, child, reader, rules); });
}

std::string preferred(oscap_text_iterator* texts) {
  std::string found = plain_text(taken(oscap_textlist_get_preferred_plaintext(texts, kLanguage)));
  oscap_text_iterator_free(texts);
  return found;
}

}  // namespace

BenchmarkInfo read_benchmark(const OscapContent& content) {
  xccdf_benchmark* benchmark = content.benchmark();
  xccdf_profile* profile = xccdf_policy_get_profile(content.policy());
  BenchmarkInfo info;
  info.benchmark_id = text_or_empty(xccdf_benchmark_get_id(benchmark));
  info.profile_id = content.profile_id();
  info.profile_title = preferred(xccdf_profile_get_title(profile));
  info.content_title = preferred(xccdf_benchmark_get_title(benchmark));
  info.version = text_or_empty(xccdf_benchmark_get_version(benchmark));
  RuleReader reader(content);
  each(xccdf_benchmark_get_content(benchmark),
       [&](xccdf_item* item) { add_selected(content.policy(), item, reader, info.rules); });
  oscap_clearerr();
  return info;
}

}  // namespace gf
