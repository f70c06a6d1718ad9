// SCAP content loaded into libopenscap: everything that can be done once, before any root is looked at.
//
// The parts that look at the machine (an OVAL agent probes the system as soon as it is made, with a
// thread that would not survive a fork) are not made here but in each evaluation: agents().
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "runner/oscap.h"

namespace gf {

class OscapContent {
 public:
  // `content`: a source data stream or a plain XCCDF document; when there are several check lists, the
  // first that has the profile is taken. Throws Code::input for what is not such a document (DTDs
  // are refused) and Code::evaluator for what libopenscap refuses and for an unknown profile.
  OscapContent(std::span<const std::byte> content, const std::string& name, const std::string& profile_id);
  ~OscapContent();
  OscapContent(const OscapContent&) = delete;
  OscapContent& operator=(const OscapContent&) = delete;

  struct OvalFile {
    std::string href;  // as checks refer to it
    oval_definition_model* model;
  };

  [[nodiscard]] xccdf_session* session() const { return session_; }
  [[nodiscard]] xccdf_policy* policy() const { return policy_; }
  [[nodiscard]] xccdf_policy_model* policy_model() const { return xccdf_session_get_policy_model(session_); }
  [[nodiscard]] xccdf_benchmark* benchmark() const { return xccdf_policy_model_get_benchmark(policy_model()); }
  [[nodiscard]] const std::string& profile_id() const { return profile_id_; }
  [[nodiscard]] const std::vector<OvalFile>& oval_files() const { return oval_files_; }
  // The OCIL components, where check texts for people are.
  [[nodiscard]] const std::vector<std::string>& questionnaires() const { return questionnaires_; }

 private:
  void choose_check_list(bool is_data_stream);
  bool load_check_list(const char* stream, const char* check_list);
  void load_components();
  void import_oval(const std::string& href, oscap_source* source);
  std::string name_;
  std::string profile_id_;
  xccdf_session* session_ = nullptr;
  oscap_source* source_ = nullptr;  // the session's
  xccdf_policy* policy_ = nullptr;  // the session's
  std::vector<OvalFile> oval_files_;
  std::vector<std::string> questionnaires_;
};

}  // namespace gf
