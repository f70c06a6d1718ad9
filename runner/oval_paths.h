// Which files and folders the checks of a rule read, as far as OVAL says it without being run.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "runner/oscap.h"

namespace gf {

class OscapContent;

// The longest folder or file that every match of a pattern lies in or is: "^/etc/ssh/.*\.conf$" gives
// "/etc/ssh", "^/etc/issue$" gives "/etc/issue". Empty where the pattern does not begin with "^/" or has
// alternatives outside of parentheses.
std::string literal_start(std::string_view pattern);
// The pattern taken apart at each '|' outside of brackets; an alternative that begins with '/' gets a '^'.
std::vector<std::string> alternatives_of(std::string_view pattern);
// Content seldom escapes the dots of file names: "^/etc/pam.d/x$" means /etc/pam.d/x, whatever else it matches.
// A dot before a letter or digit is escaped.
std::string with_plain_dots(std::string_view pattern);

class OvalPaths {
 public:
  explicit OvalPaths(const OscapContent& content) : content_(content) {}
  // The check's definitions and all that they refer to.
  void add_check(xccdf_check* check);
  [[nodiscard]] std::vector<std::string> take() const { return {paths_.begin(), paths_.end()}; }
  [[nodiscard]] bool walks() const { return walks_; }

 private:
  struct Texts {
    std::vector<std::string> values;
    bool is_pattern = false;
    bool present = false;
  };
  void add_definition(oval_definition* definition, int depth);
  void add_node(oval_criteria_node* node, int depth);
  void add_object(oval_object* object, int depth);
  void add_set(oval_setobject* set, int depth);
  void add_state(oval_state* state, int depth);
  static std::vector<std::string> starts_of(const Texts& texts);
  void add_files(const Texts& folder, const Texts& name, const Texts& whole);
  void add_path(const std::string& path);
  void add_known_database(const std::string& object_type);
  Texts texts_of(oval_entity* entity, int depth);
  std::vector<std::string> values_of(oval_variable* variable, int depth);
  std::vector<std::string> values_of(oval_component* component, int depth);

  const OscapContent& content_;
  std::vector<xccdf_check*> checks_;  // of the rule: their exports fill external variables
  std::set<void*> seen_;
  std::set<std::string> paths_;
  bool walks_ = false;
};

}  // namespace gf
