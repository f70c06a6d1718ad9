// The check texts for people in OCIL (NIST IR 7692): questionnaire -> test action -> question.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace gf {

class Questionnaires {
 public:
  // OCIL documents. One that is not well-formed has no texts; the checks themselves do not need them.
  explicit Questionnaires(const std::vector<std::string>& documents);
  // Plain text of the first question of that questionnaire, or empty.
  [[nodiscard]] std::string text_of(const std::string& questionnaire_id) const;

 private:
  void read(const std::string& document);
  std::map<std::string, std::string> action_of_;    // questionnaire id -> test action id
  std::map<std::string, std::string> question_of_;  // test action id -> question id
  std::map<std::string, std::string> text_of_;      // question id -> text
};

}  // namespace gf
