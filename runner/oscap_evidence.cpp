// Walking OVAL's results: definition -> criteria -> tests -> items.
//
//   test: "sshd PermitRootLogin is set": false
//     looked for: filepath = /etc/ssh/sshd_config; pattern ~ ^PermitRootLogin (\S+)$
//     expected: subexpression = no
//     found: filepath = /etc/ssh/sshd_config; subexpression = yes: false
#include "runner/oscap_evidence.h"

#include <set>
#include <string_view>
#include <vector>

#include "kernels/base/text.h"
#include "policy/redacted.h"

namespace gf {
namespace {

using oscap::each;
using oscap::text_or_empty;

constexpr size_t kMaxItems = 5;         // of one test
constexpr size_t kMaxValueBytes = 300;  // of one value
constexpr size_t kMaxTests = 20;
constexpr int kMaxDepth = 64;

class Evidence {
 public:
  std::string take() { return shortened(redacted(to_valid_utf8(text_)), kMaxEvidenceBytes); }

  void add_check(xccdf_check* check, const std::map<std::string, oval_agent_session*>& agents) {
    if (check == nullptr) return;
    if (xccdf_check_get_complex(check)) {
      each(xccdf_check_get_children(check), [&](xccdf_check* child) { add_check(child, agents); });
      return;
    }
    each(xccdf_check_get_content_refs(check), [&](xccdf_check_content_ref* ref) {
      const auto agent = agents.find(text_or_empty(xccdf_check_content_ref_get_href(ref)));
      const char* name = xccdf_check_content_ref_get_name(ref);
      if (agent == agents.end() || name == nullptr) return;
      add_definition(oval_agent_get_result_definition(agent->second, name), 0);
    });
  }

  void add_message(std::string_view message) { line("message: " + std::string(message)); }

 private:
  void line(const std::string& text) {
    if (text_.size() < kMaxEvidenceBytes * 2) text_ += text + "\n";
  }

  void add_definition(oval_result_definition* definition, int depth) {
    if (definition == nullptr || depth > kMaxDepth) return;
    each(oval_result_definition_get_messages(definition),
         [this](oval_message* message) { add_message(text_or_empty(oval_message_get_text(message))); });
    add_node(oval_result_definition_get_criteria(definition), depth);
  }

  // Only what kept the rule from passing is shown. A node's result has its own negation in it already;
  // below an odd number of negations it is a true one that does harm.
  void add_node(oval_result_criteria_node* node, int depth) {
    if (node == nullptr || depth > kMaxDepth) return;
    const bool negated = oval_result_criteria_node_get_negate(node);
    if (oval_result_criteria_node_get_result(node) == (inverted_ ? OVAL_RESULT_FALSE : OVAL_RESULT_TRUE)) return;
    inverted_ = inverted_ != negated;
    switch (oval_result_criteria_node_get_type(node)) {
      case OVAL_NODETYPE_CRITERIA:
        each(oval_result_criteria_node_get_subnodes(node),
             [&](oval_result_criteria_node* child) { add_node(child, depth + 1); });
        break;
      case OVAL_NODETYPE_CRITERION: add_test(oval_result_criteria_node_get_test(node), negated); break;
      case OVAL_NODETYPE_EXTENDDEF: add_definition(oval_result_criteria_node_get_extends(node), depth + 1); break;
      case OVAL_NODETYPE_UNKNOWN: break;
    }
    inverted_ = inverted_ != negated;
  }

  void add_test(oval_result_test* result, bool negated) {
    oval_test* test = result == nullptr ? nullptr : oval_result_test_get_test(result);
    if (test == nullptr || seen_.size() >= kMaxTests || !seen_.insert(result).second) return;
    line("test: " + text_or_empty(oval_test_get_comment(test)) + ": " +
         oval_result_get_text(oval_result_test_get_result(result)) + (negated ? " (and must not be true)" : ""));
    if (oval_object* object = oval_test_get_object(test)) add_object(object);
    each(oval_test_get_states(test), [this](oval_state* state) { add_state(state); });
    add_items(result);
    each(oval_result_test_get_messages(result),
         [this](oval_message* message) { add_message(text_or_empty(oval_message_get_text(message))); });
  }

  static std::string entity_text(oval_entity* entity) {
    if (entity == nullptr) return "?";
    std::string text = oval_operation_get_text(oval_entity_get_operation(entity)) + std::string(" ");
    if (oval_variable* variable = oval_entity_get_variable(entity)) {
      std::string values;
      each(oval_variable_get_values(variable), [&values](oval_value* value) {
        values += (values.empty() ? "" : " | ") + text_or_empty(oval_value_get_text(value));
      });
      return text + shortened(values.empty() ? "the value of " + text_or_empty(oval_variable_get_id(variable)) : values,
                              kMaxValueBytes);
    }
    oval_value* value = oval_entity_get_value(entity);
    return text + shortened(value == nullptr ? "" : text_or_empty(oval_value_get_text(value)), kMaxValueBytes);
  }

  void add_object(oval_object* object) {
    std::string text;
    each(oval_object_get_object_contents(object), [&text](oval_object_content* content) {
      if (oval_object_content_get_type(content) != OVAL_OBJECTCONTENT_ENTITY) return;
      text += (text.empty() ? "" : "; ") + text_or_empty(oval_object_content_get_field_name(content)) + " " +
              entity_text(oval_object_content_get_entity(content));
    });
    if (!text.empty()) line("  looked for: " + text);
  }

  void add_state(oval_state* state) {
    std::string text;
    each(oval_state_get_contents(state), [&text](oval_state_content* content) {
      oval_entity* entity = oval_state_content_get_entity(content);
      if (entity == nullptr) return;
      text += (text.empty() ? "" : "; ") + text_or_empty(oval_entity_get_name(entity)) + " " + entity_text(entity);
    });
    if (!text.empty()) line("  expected: " + text);
  }

  void add_items(oval_result_test* result) {
    size_t count = 0;
    each(oval_result_test_get_items(result), [&](oval_result_item* item) {
      oval_sysitem* found = oval_result_item_get_sysitem(item);
      if (found == nullptr || ++count > kMaxItems) return;
      if (oval_sysitem_get_status(found) == SYSCHAR_STATUS_DOES_NOT_EXIST) {
        --count;
        return;
      }
      std::string text;
      each(oval_sysitem_get_sysents(found), [&text](oval_sysent* entity) {
        if (oval_sysent_get_mask(entity) != 0) return;  // the content asks not to show it
        const std::string value = text_or_empty(oval_sysent_get_value(entity));
        if (value.empty()) return;
        text += (text.empty() ? "" : "; ") + text_or_empty(oval_sysent_get_name(entity)) + " = " +
                shortened(value, kMaxValueBytes);
      });
      line("  found: " + text + ": " + oval_result_get_text(oval_result_item_get_result(item)));
      each(oval_sysitem_get_messages(found),
           [this](oval_message* message) { add_message(text_or_empty(oval_message_get_text(message))); });
    });
    if (count == 0) line("  found: nothing");
    if (count > kMaxItems) line("  and " + std::to_string(count - kMaxItems) + " more");
  }

  std::string text_;
  std::set<oval_result_test*> seen_;
  bool inverted_ = false;
};

}  // namespace

std::string evidence_of(xccdf_rule_result* rule, const std::map<std::string, oval_agent_session*>& agents) {
  Evidence evidence;
  each(xccdf_rule_result_get_messages(rule), [&evidence](xccdf_message* message) {
    evidence.add_message(text_or_empty(xccdf_message_get_content(message)));
  });
  each(xccdf_rule_result_get_checks(rule), [&](xccdf_check* check) { evidence.add_check(check, agents); });
  return evidence.take();
}

}  // namespace gf
