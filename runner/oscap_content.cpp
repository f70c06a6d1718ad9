// OscapContent: loading, and the choice of the check list that has the profile.
#include "runner/oscap_content.h"

#include <libxml/xmlreader.h>

#include <algorithm>
#include <limits>
#include <string_view>

#include "kernels/base/error.h"
#include "kernels/base/text.h"

namespace gf {
namespace oscap {

std::string last_error() {
  const std::string text = taken(oscap_err_get_full_error());
  oscap_clearerr();
  const std::string_view line = trimmed(text);
  return line.empty() ? "libopenscap gives no reason" : shortened(printable(line), 1000);
}

}  // namespace oscap

namespace {

constexpr std::string_view kOvalSystem = "http://oval.mitre.org/XMLSchema/oval-definitions-5";
constexpr std::string_view kOcilSystem = "http://scap.nist.gov/schema/ocil/2";

enum class Document { data_stream, benchmark };

// Reads to the first element only: a document type declaration can stand nowhere later, and without
// one there are no entities to expand or to fetch. The rest is held by libxml2's own limits (depth
// 256, 10 MB a text), which libopenscap leaves on.
Document look_at_root(std::span<const std::byte> content, const std::string& name) {
  if (content.size() > std::numeric_limits<int>::max())
    throw Error(Code::input, name, ": expected at most 2 GiB, found ", content.size(), " bytes");
  const std::unique_ptr<xmlTextReader, decltype(&xmlFreeTextReader)> reader(
      xmlReaderForMemory(reinterpret_cast<const char*>(content.data()), static_cast<int>(content.size()), nullptr,
                         nullptr, XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING),
      &xmlFreeTextReader);
  while (true) {
    // There is no reader for an empty document.
    const int more = reader ? xmlTextReaderRead(reader.get()) : -1;
    if (more != 1) throw Error(Code::input, name, ": expected a SCAP data stream or an XCCDF document, found no XML");
    const int type = xmlTextReaderNodeType(reader.get());
    if (type == XML_READER_TYPE_DOCUMENT_TYPE)
      throw Error(Code::input, name, ": has a document type declaration; content with one is not accepted");
    if (type == XML_READER_TYPE_ELEMENT) break;
  }
  const std::string root(reinterpret_cast<const char*>(xmlTextReaderConstLocalName(reader.get())));
  if (root == "data-stream-collection") return Document::data_stream;
  if (root == "Benchmark") return Document::benchmark;
  throw Error(Code::input, name, ": expected a data-stream-collection or a Benchmark, found the element ",
              printable(root));
}

std::string profiles_of(xccdf_benchmark* benchmark) {
  std::string list;
  oscap::each(xccdf_benchmark_get_profiles(benchmark), [&list](xccdf_profile* profile) {
    list += (list.empty() ? "" : ", ") + printable(oscap::text_or_empty(xccdf_profile_get_id(profile)));
  });
  return list.empty() ? "none" : list;
}

}  // namespace

OscapContent::OscapContent(std::span<const std::byte> content, const std::string& name, const std::string& profile_id)
    : name_(name), profile_id_(profile_id) {
  const Document document = look_at_root(content, name_);
  oscap_init();
  // The last part of the name alone: libopenscap looks for files beside the one it was given, and must
  // find none.
  const std::string origin = name_.substr(name_.find_last_of('/') + 1);
  source_ = oscap_source_new_from_memory(reinterpret_cast<const char*>(content.data()), content.size(), origin.c_str());
  session_ = xccdf_session_new_from_source(source_);
  if (session_ == nullptr) throw Error(Code::evaluator, name_, ": not accepted by libopenscap: ", oscap::last_error());
  xccdf_session_set_validation(session_, true, false);
  xccdf_session_set_signature_validation(session_, false);  // the bundle's signature is what counts
  xccdf_session_configure_remote_resources(session_, false, nullptr, nullptr);
  choose_check_list(document == Document::data_stream);
  if (xccdf_session_load_cpe(session_) != 0)
    throw Error(Code::evaluator, name_, ": cannot load its platforms: ", oscap::last_error());
  policy_ = xccdf_session_get_xccdf_policy(session_);
  if (policy_ == nullptr) throw Error(Code::evaluator, name_, ": cannot build the policy: ", oscap::last_error());
  if (document == Document::data_stream) load_components();
}

OscapContent::~OscapContent() {
  // The order matters to libopenscap: the session's models before the OVAL that they refer to.
  if (session_ != nullptr) xccdf_session_free(session_);
  for (const OvalFile& file : oval_files_) oval_definition_model_free(file.model);
}

void OscapContent::choose_check_list(bool is_data_stream) {
  std::vector<std::pair<std::string, std::string>> candidates;  // data stream, check list
  if (is_data_stream) {
    ds_sds_index* index = xccdf_session_get_sds_idx(session_);
    if (index == nullptr) throw Error(Code::evaluator, name_, ": cannot read its index: ", oscap::last_error());
    oscap::each(ds_sds_index_get_streams(index), [&](ds_stream_index* stream) {
      oscap::each(ds_stream_index_get_checklists(stream), [&](const char* check_list) {
        candidates.emplace_back(oscap::text_or_empty(ds_stream_index_get_id(stream)), check_list);
      });
    });
    if (candidates.empty()) throw Error(Code::evaluator, name_, ": the data stream holds no check list");
  } else {
    candidates.emplace_back();
  }
  std::string seen;
  for (const auto& [stream, check_list] : candidates) {
    if (load_check_list(stream.c_str(), check_list.c_str()) &&
        xccdf_session_set_profile_id(session_, profile_id_.c_str()))
      return;
    seen += (seen.empty() ? "" : "; ") + profiles_of(benchmark());
  }
  throw Error(Code::evaluator, name_, ": has no profile \"", printable(profile_id_), "\"; it has: ", seen);
}

bool OscapContent::load_check_list(const char* stream, const char* check_list) {
  if (*stream != '\0') {
    xccdf_session_set_datastream_id(session_, stream);
    xccdf_session_set_component_id(session_, check_list);
  }
  if (xccdf_session_load_xccdf(session_) != 0)
    throw Error(Code::evaluator, name_, ": cannot load it: ", oscap::last_error());
  return xccdf_benchmark_get_profile_by_id(benchmark(), profile_id_.c_str()) != nullptr;
}

// The session could import the OVAL files itself, but makes agents of them at once. So the components
// are taken from a second view of the same data stream, which goes when they are imported.
void OscapContent::load_components() {
  const std::unique_ptr<ds_sds_session, decltype(&ds_sds_session_free)> stream(ds_sds_session_new_from_source(source_),
                                                                               &ds_sds_session_free);
  if (!stream || ds_sds_session_select_checklist(stream.get(), xccdf_session_get_datastream_id(session_),
                                                 xccdf_session_get_component_id(session_), nullptr) == nullptr)
    throw Error(Code::evaluator, name_, ": cannot read the parts of the data stream: ", oscap::last_error());
  const std::unique_ptr<oscap_file_entry_list, decltype(&oscap_file_entry_list_free)> files(
      xccdf_policy_model_get_systems_and_files(policy_model()), &oscap_file_entry_list_free);
  oscap::each(oscap_file_entry_list_get_files(files.get()), [&](const oscap_file_entry* entry) {
    auto* file = const_cast<oscap_file_entry*>(entry);
    const std::string system = oscap::text_or_empty(oscap_file_entry_get_system(file));
    const std::string href = oscap::text_or_empty(oscap_file_entry_get_file(file));
    // A part that is not in the data stream (content at an address in a network) stays not checked.
    oscap_source* source = ds_sds_session_get_component_by_href(stream.get(), href.c_str());
    if (source == nullptr) return;
    if (system == kOvalSystem) import_oval(href, source);
    if (system == kOcilSystem) {
      char* bytes = nullptr;
      size_t size = 0;
      if (oscap_source_get_raw_memory(source, &bytes, &size) == 0) questionnaires_.emplace_back(bytes, size);
      std::free(bytes);
    }
  });
  oscap_clearerr();
}

void OscapContent::import_oval(const std::string& href, oscap_source* source) {
  const auto same = [&href](const OvalFile& file) { return file.href == href; };
  if (std::any_of(oval_files_.begin(), oval_files_.end(), same)) return;
  oval_definition_model* model = oval_definition_model_import_source(source);
  if (model == nullptr)
    throw Error(Code::evaluator, name_, ": cannot load the OVAL of ", printable(href), ": ", oscap::last_error());
  oval_files_.push_back({href, model});
}

}  // namespace gf
