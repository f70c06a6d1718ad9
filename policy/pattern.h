// A POSIX extended regular expression, compiled once. glibc's matcher keeps no stack per character,
// so a long script cannot overflow it, as it can with std::regex.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace gf {

class Pattern {
 public:
  // Case is ignored; '^' and '$' also match at line ends. Throws Code::input naming `what`.
  Pattern(std::string_view expression, std::string_view what);
  [[nodiscard]] bool found_in(const std::string& text) const;  // text without NUL bytes
  [[nodiscard]] const std::string& expression() const { return expression_; }

 private:
  std::string expression_;
  std::shared_ptr<const void> compiled_;
};

}  // namespace gf
