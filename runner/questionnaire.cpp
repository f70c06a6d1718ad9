// Questionnaires: the three maps of an OCIL document.
#include "runner/questionnaire.h"

#include <libxml/parser.h>
#include <libxml/tree.h>

#include <memory>
#include <string_view>

#include "kernels/base/text.h"

namespace gf {
namespace {

std::string_view name_of(const xmlNode* node) { return reinterpret_cast<const char*>(node->name); }

std::string attribute(xmlNode* node, const char* name) {
  const std::unique_ptr<xmlChar, decltype(xmlFree)> value(xmlGetProp(node, reinterpret_cast<const xmlChar*>(name)),
                                                          xmlFree);
  return value ? reinterpret_cast<const char*>(value.get()) : "";
}

std::string content(const xmlNode* node) {
  const std::unique_ptr<xmlChar, decltype(xmlFree)> text(xmlNodeGetContent(node), xmlFree);
  return text ? std::string(trimmed(reinterpret_cast<const char*>(text.get()))) : "";
}

// The first element of that name below `node`, in document order.
xmlNode* find(xmlNode* node, std::string_view name, int depth = 0) {
  for (xmlNode* child = node->children; child != nullptr && depth < 16; child = child->next) {
    if (child->type != XML_ELEMENT_NODE) continue;
    if (name_of(child) == name) return child;
    if (xmlNode* found = find(child, name, depth + 1)) return found;
  }
  return nullptr;
}

std::string looked_up(const std::map<std::string, std::string>& map, const std::string& key) {
  const auto found = map.find(key);
  return found == map.end() ? std::string() : found->second;
}

}  // namespace

Questionnaires::Questionnaires(const std::vector<std::string>& documents) {
  for (const std::string& document : documents) read(document);
}

void Questionnaires::read(const std::string& document) {
  const std::unique_ptr<xmlDoc, decltype(&xmlFreeDoc)> parsed(
      xmlReadMemory(document.data(), static_cast<int>(document.size()), nullptr, nullptr,
                    XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_NONET),
      &xmlFreeDoc);
  xmlNode* root = parsed ? xmlDocGetRootElement(parsed.get()) : nullptr;
  if (root == nullptr) return;
  for (xmlNode* section = root->children; section != nullptr; section = section->next) {
    for (xmlNode* node = section->children; node != nullptr; node = node->next) {
      if (node->type != XML_ELEMENT_NODE) continue;
      if (name_of(section) == "questionnaires") {
        if (const xmlNode* action = find(node, "test_action_ref")) action_of_[attribute(node, "id")] = content(action);
      } else if (name_of(section) == "test_actions") {
        question_of_[attribute(node, "id")] = attribute(node, "question_ref");
      } else if (name_of(section) == "questions") {
        if (const xmlNode* text = find(node, "question_text")) text_of_[attribute(node, "id")] = content(text);
      }
    }
  }
}

std::string Questionnaires::text_of(const std::string& questionnaire_id) const {
  return looked_up(text_of_, looked_up(question_of_, looked_up(action_of_, questionnaire_id)));
}

}  // namespace gf
