// OvalPaths: from checks to definitions, tests, objects, variables, and so to paths.
#include "runner/oval_paths.h"

#include <array>
#include <cctype>
#include <utility>

#include "runner/oscap_content.h"

namespace gf {
namespace {

using oscap::each;
using oscap::text_or_empty;

constexpr int kMaxDepth = 64;
constexpr size_t kMaxValues = 64;  // of one variable

bool is_special(char letter) { return std::string_view("\\^$.|?*+()[]{}").find(letter) != std::string_view::npos; }

std::string parent_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

}  // namespace

std::string literal_start(std::string_view pattern) {
  if (!pattern.starts_with("^/") && !pattern.starts_with("^\\/")) return {};
  int depth = 0;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '\\')
      ++i;
    else if (pattern[i] == '(' || pattern[i] == '[')
      ++depth;
    else if (pattern[i] == ')' || pattern[i] == ']')
      --depth;
    else if (pattern[i] == '|' && depth == 0)
      return {};
  }
  std::string literal;
  size_t at = 1;
  bool ends_there = false;
  while (at < pattern.size()) {
    char letter = pattern[at];
    size_t next = at + 1;
    if (letter == '$' && next == pattern.size()) {
      ends_there = true;
      break;
    }
    if (letter == '\\' && next < pattern.size() &&
        (is_special(pattern[next]) || pattern[next] == '/' || pattern[next] == '-' || pattern[next] == '_')) {
      letter = pattern[next++];
    } else if (is_special(letter)) {
      break;
    }
    // A letter that may be absent or repeated is no longer literal.
    if (next < pattern.size() && std::string_view("?*+{").find(pattern[next]) != std::string_view::npos) break;
    literal += letter;
    at = next;
  }
  if (ends_there && literal.size() > 1) {
    if (literal.back() == '/') literal.pop_back();
    return literal;
  }
  return parent_of(literal);
}

std::vector<std::string> alternatives_of(std::string_view pattern) {
  std::vector<std::string> alternatives(1);
  int depth = 0;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char letter = pattern[i];
    if (letter == '|' && depth == 0) {
      alternatives.emplace_back();
      continue;
    }
    if (letter == '(' || letter == '[') ++depth;
    if (letter == ')' || letter == ']') --depth;
    alternatives.back() += letter;
    if (letter == '\\' && i + 1 < pattern.size()) alternatives.back() += pattern[++i];
  }
  // A search for "/etc/x" finds the file of that name; what else it might find lies deeper.
  for (std::string& alternative : alternatives) {
    if (!alternative.starts_with('/') && !alternative.starts_with("\\/")) continue;
    std::string anchored(1, '^');
    anchored += alternative;
    alternative = std::move(anchored);
  }
  return alternatives;
}

std::string with_plain_dots(std::string_view pattern) {
  std::string plain;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char next = i + 1 < pattern.size() ? pattern[i + 1] : ' ';
    if (pattern[i] == '\\' && i + 1 < pattern.size()) {
      plain += pattern[i++];
    } else if (pattern[i] == '.' && std::isalnum(static_cast<unsigned char>(next)) != 0) {
      plain += '\\';
    }
    plain += pattern[i];
  }
  return plain;
}

void OvalPaths::add_check(xccdf_check* check) {
  if (xccdf_check_get_complex(check)) {
    each(xccdf_check_get_children(check), [this](xccdf_check* child) { add_check(child); });
    return;
  }
  checks_.push_back(check);
  each(xccdf_check_get_content_refs(check), [&](xccdf_check_content_ref* ref) {
    const std::string href = text_or_empty(xccdf_check_content_ref_get_href(ref));
    const char* name = xccdf_check_content_ref_get_name(ref);
    for (const OscapContent::OvalFile& file : content_.oval_files()) {
      if (file.href != href) continue;
      if (name != nullptr) {
        add_definition(oval_definition_model_get_definition(file.model, name), 0);
      } else {
        each(oval_definition_model_get_definitions(file.model),
             [this](oval_definition* definition) { add_definition(definition, 0); });
      }
    }
  });
}

void OvalPaths::add_definition(oval_definition* definition, int depth) {
  if (definition == nullptr || depth > kMaxDepth || !seen_.insert(definition).second) return;
  add_node(oval_definition_get_criteria(definition), depth + 1);
}

void OvalPaths::add_node(oval_criteria_node* node, int depth) {
  if (node == nullptr || depth > kMaxDepth) return;
  switch (oval_criteria_node_get_type(node)) {
    case OVAL_NODETYPE_CRITERIA:
      each(oval_criteria_node_get_subnodes(node), [&](oval_criteria_node* child) { add_node(child, depth + 1); });
      break;
    case OVAL_NODETYPE_CRITERION:
      if (oval_test* test = oval_criteria_node_get_test(node)) {
        add_object(oval_test_get_object(test), depth + 1);
        each(oval_test_get_states(test), [&](oval_state* state) { add_state(state, depth + 1); });
      }
      break;
    case OVAL_NODETYPE_EXTENDDEF: add_definition(oval_criteria_node_get_definition(node), depth + 1); break;
    case OVAL_NODETYPE_UNKNOWN: break;
  }
}

// A state can hold a variable whose values are read from other files.
void OvalPaths::add_state(oval_state* state, int depth) {
  if (state == nullptr || !seen_.insert(state).second) return;
  each(oval_state_get_contents(state), [&](oval_state_content* content) {
    if (oval_entity* entity = oval_state_content_get_entity(content)) texts_of(entity, depth + 1);
  });
}

void OvalPaths::add_object(oval_object* object, int depth) {
  if (object == nullptr || depth > kMaxDepth || !seen_.insert(object).second) return;
  Texts folder, name, whole;
  each(oval_object_get_object_contents(object), [&](oval_object_content* content) {
    switch (oval_object_content_get_type(content)) {
      case OVAL_OBJECTCONTENT_SET: add_set(oval_object_content_get_setobject(content), depth + 1); return;
      case OVAL_OBJECTCONTENT_FILTER:
        if (oval_filter* filter = oval_object_content_get_filter(content))
          add_state(oval_filter_get_state(filter), depth + 1);
        return;
      case OVAL_OBJECTCONTENT_UNKNOWN: return;
      case OVAL_OBJECTCONTENT_ENTITY: break;
    }
    const std::string field = text_or_empty(oval_object_content_get_field_name(content));
    Texts texts = texts_of(oval_object_content_get_entity(content), depth + 1);
    if (field == "path") folder = std::move(texts);
    if (field == "filename") name = std::move(texts);
    if (field == "filepath") whole = std::move(texts);
  });
  add_files(folder, name, whole);
  if (folder.is_pattern || whole.is_pattern) walks_ = true;
  each(oval_object_get_behaviors(object), [this](oval_behavior* behavior) {
    const std::string key = text_or_empty(oval_behavior_get_key(behavior));
    const std::string value = text_or_empty(oval_behavior_get_value(behavior));
    if (key == "recurse_direction" && value != "none") walks_ = true;
  });
  add_known_database(text_or_empty(oval_object_get_name(object)));
}

void OvalPaths::add_set(oval_setobject* set, int depth) {
  if (set == nullptr || depth > kMaxDepth) return;
  if (oval_setobject_get_type(set) == OVAL_SET_AGGREGATE)
    each(oval_setobject_get_subsets(set), [&](oval_setobject* subset) { add_set(subset, depth + 1); });
  if (oval_setobject_get_type(set) != OVAL_SET_COLLECTIVE) return;
  each(oval_setobject_get_objects(set), [&](oval_object* object) { add_object(object, depth + 1); });
  each(oval_setobject_get_filters(set),
       [&](oval_filter* filter) { add_state(oval_filter_get_state(filter), depth + 1); });
}

// The values themselves, or where the paths that they match begin.
std::vector<std::string> OvalPaths::starts_of(const Texts& texts) {
  if (!texts.is_pattern) return texts.values;
  std::vector<std::string> starts;
  for (const std::string& value : texts.values)
    for (const std::string& alternative : alternatives_of(value))
      starts.push_back(literal_start(with_plain_dots(alternative)));
  return starts;
}

void OvalPaths::add_files(const Texts& folder, const Texts& name, const Texts& whole) {
  for (const std::string& value : starts_of(whole)) add_path(value);
  for (const std::string& start : starts_of(folder)) {
    if (start.empty()) continue;
    if (folder.is_pattern || name.is_pattern || name.values.empty()) {
      add_path(start);
      continue;
    }
    for (const std::string& file : name.values) add_path(start + (start.ends_with('/') ? "" : "/") + file);
  }
}

void OvalPaths::add_path(const std::string& path) {
  if (path.empty() || path.front() != '/') return;
  paths_.insert(path.size() > 1 && path.back() == '/' ? path.substr(0, path.size() - 1) : path);
}

// Objects that name no file and still read one, by the OVAL schemas' descriptions of them.
void OvalPaths::add_known_database(const std::string& object_type) {
  static constexpr std::array kFiles = {
      std::pair{std::string_view("rpm"), std::string_view("/var/lib/rpm")},
      std::pair{std::string_view("dpkg"), std::string_view("/var/lib/dpkg/status")},
      std::pair{std::string_view("password_"), std::string_view("/etc/passwd")},
      std::pair{std::string_view("shadow_"), std::string_view("/etc/shadow")},
      std::pair{std::string_view("systemdunit"), std::string_view("/etc/systemd/system")},
      std::pair{std::string_view("systemdunit"), std::string_view("/usr/lib/systemd/system")},
      std::pair{std::string_view("runlevel"), std::string_view("/etc/rc.d")},
      std::pair{std::string_view("inetd"), std::string_view("/etc/inetd.conf")},
      std::pair{std::string_view("xinetd"), std::string_view("/etc/xinetd.conf")},
      std::pair{std::string_view("selinuxboolean"), std::string_view("/etc/selinux")},
  };
  for (const auto& [type, path] : kFiles)
    if (object_type.starts_with(type)) paths_.insert(std::string(path));
}

OvalPaths::Texts OvalPaths::texts_of(oval_entity* entity, int depth) {
  Texts texts;
  if (entity == nullptr) return texts;
  texts.present = true;
  texts.is_pattern = oval_entity_get_operation(entity) == OVAL_OPERATION_PATTERN_MATCH;
  if (oval_variable* variable = oval_entity_get_variable(entity)) {
    texts.values = values_of(variable, depth + 1);
  } else if (oval_value* value = oval_entity_get_value(entity)) {
    if (const std::string text = text_or_empty(oval_value_get_text(value)); !text.empty()) texts.values = {text};
  }
  return texts;
}

std::vector<std::string> OvalPaths::values_of(oval_variable* variable, int depth) {
  std::vector<std::string> values;
  if (variable == nullptr || depth > kMaxDepth) return values;
  switch (oval_variable_get_type(variable)) {
    case OVAL_VARIABLE_CONSTANT:
      each(oval_variable_get_values(variable),
           [&values](oval_value* value) { values.push_back(text_or_empty(oval_value_get_text(value))); });
      break;
    case OVAL_VARIABLE_LOCAL: values = values_of(oval_variable_get_component(variable), depth + 1); break;
    case OVAL_VARIABLE_EXTERNAL:
      for (xccdf_check* check : checks_)
        each(xccdf_check_get_exports(check), [&](xccdf_check_export* given) {
          if (text_or_empty(xccdf_check_export_get_name(given)) != text_or_empty(oval_variable_get_id(variable)))
            return;
          xccdf_item* item = xccdf_benchmark_get_item(content_.benchmark(), xccdf_check_export_get_value(given));
          if (item != nullptr) values.push_back(text_or_empty(xccdf_policy_get_value_of_item(content_.policy(), item)));
        });
      break;
    case OVAL_VARIABLE_UNKNOWN: break;
  }
  if (values.size() > kMaxValues) values.resize(kMaxValues);
  return values;
}

// What is found in files when the check runs has no value here; those files are read, though.
std::vector<std::string> OvalPaths::values_of(oval_component* component, int depth) {
  std::vector<std::string> values;
  if (component == nullptr || depth > kMaxDepth) return values;
  const auto type = static_cast<int>(oval_component_get_type(component));
  if (type == OVAL_COMPONENT_LITERAL) {
    if (oval_value* value = oval_component_get_literal_value(component))
      values = {text_or_empty(oval_value_get_text(value))};
  } else if (type == OVAL_COMPONENT_OBJECTREF) {
    add_object(oval_component_get_object(component), depth + 1);
  } else if (type == OVAL_COMPONENT_VARREF) {
    values = values_of(oval_component_get_variable(component), depth + 1);
  } else {
    bool is_first = true;
    bool all_known = true;
    each(oval_component_get_function_components(component), [&](oval_component* part) {
      const std::vector<std::string> given = values_of(part, depth + 1);
      all_known = all_known && !given.empty();
      if (type != OVAL_FUNCTION_CONCAT) return;
      std::vector<std::string> joined;
      for (const std::string& left : is_first ? std::vector<std::string>{""} : values)
        for (const std::string& right : given)
          if (joined.size() < kMaxValues) joined.push_back(left + right);
      values = std::move(joined);
      is_first = false;
    });
    // The other functions change their text; only a concatenation is followed.
    if (!all_known || type != OVAL_FUNCTION_CONCAT) values.clear();
  }
  return values;
}

}  // namespace gf
