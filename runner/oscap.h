// libopenscap's headers, its iterators and its error text, for the files of the evaluator.
// Not to be included elsewhere: the rest of the program knows evaluator.h and content.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <string>
#include <type_traits>

// The library's headers name parameters with words that C++20 took.
#define export export_
#define requires requires_
extern "C" {
#include <openscap/ds_sds_session.h>
#include <openscap/oscap.h>
#include <openscap/oscap_error.h>
#include <openscap/oscap_reference.h>
#include <openscap/oscap_source.h>
#include <openscap/oscap_text.h>
#include <openscap/oval_agent_api.h>
#include <openscap/oval_agent_xccdf_api.h>
#include <openscap/oval_definitions.h>
#include <openscap/oval_results.h>
#include <openscap/oval_system_characteristics.h>
#include <openscap/scap_ds.h>
#include <openscap/xccdf_benchmark.h>
#include <openscap/xccdf_policy.h>
#include <openscap/xccdf_session.h>
}
#undef export
#undef requires

namespace gf::oscap {

// each<xccdf_fix>(iterator, f): a table below names the three functions of each iterator type, since
// the library has one set per type and no common one.
template <typename Iterator>
struct Walk;

#define GF_OSCAP_WALK(NAME)                                \
  template <>                                              \
  struct Walk<NAME##_iterator> {                           \
    static constexpr auto more = NAME##_iterator_has_more; \
    static constexpr auto next = NAME##_iterator_next;     \
    static constexpr auto release = NAME##_iterator_free;  \
  };
GF_OSCAP_WALK(ds_stream_index)
GF_OSCAP_WALK(oscap_file_entry)
GF_OSCAP_WALK(oscap_reference)
GF_OSCAP_WALK(oscap_string)
GF_OSCAP_WALK(oscap_stringlist)
GF_OSCAP_WALK(oscap_text)
GF_OSCAP_WALK(oval_behavior)
GF_OSCAP_WALK(oval_component)
GF_OSCAP_WALK(oval_criteria_node)
GF_OSCAP_WALK(oval_definition)
GF_OSCAP_WALK(oval_filter)
GF_OSCAP_WALK(oval_message)
GF_OSCAP_WALK(oval_object)
GF_OSCAP_WALK(oval_object_content)
GF_OSCAP_WALK(oval_result_criteria_node)
GF_OSCAP_WALK(oval_result_item)
GF_OSCAP_WALK(oval_setobject)
GF_OSCAP_WALK(oval_state)
GF_OSCAP_WALK(oval_state_content)
GF_OSCAP_WALK(oval_sysent)
GF_OSCAP_WALK(oval_value)
GF_OSCAP_WALK(xccdf_check)
GF_OSCAP_WALK(xccdf_check_content_ref)
GF_OSCAP_WALK(xccdf_check_export)
GF_OSCAP_WALK(xccdf_fix)
GF_OSCAP_WALK(xccdf_fixtext)
GF_OSCAP_WALK(xccdf_ident)
GF_OSCAP_WALK(xccdf_item)
GF_OSCAP_WALK(xccdf_message)
GF_OSCAP_WALK(xccdf_profile)
GF_OSCAP_WALK(xccdf_result)
GF_OSCAP_WALK(xccdf_rule_result)
#undef GF_OSCAP_WALK

// Calls f with every element and frees the iterator. A null iterator has none.
template <typename Iterator, typename F>
void each(Iterator* iterator, F&& f) {
  if (iterator == nullptr) return;
  struct Release {
    Iterator* held;
    ~Release() { Walk<Iterator>::release(held); }
  } release{iterator};
  while (Walk<Iterator>::more(iterator)) f(Walk<Iterator>::next(iterator));
}

inline std::string text_or_empty(const char* text) { return text == nullptr ? std::string() : std::string(text); }

// For the strings that the library hands over.
inline std::string taken(char* text) {
  std::string copy = text_or_empty(text);
  std::free(text);
  return copy;
}

// What the library says went wrong, one line; clears it.
std::string last_error();

}  // namespace gf::oscap
