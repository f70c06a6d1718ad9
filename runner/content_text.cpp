// plain_text: the XHTML of descriptions as text.
#include <libxml/parser.h>
#include <libxml/tree.h>

#include <array>
#include <memory>
#include <string_view>

#include "kernels/base/error.h"
#include "kernels/base/text.h"
#include "runner/content_reader.h"

namespace gf {
namespace {

class PlainText {
 public:
  void add(const xmlNode* node, bool preformatted, int depth) {
    for (; node != nullptr && depth < kMaxDepth; node = node->next) {
      if (node->type == XML_TEXT_NODE || node->type == XML_CDATA_SECTION_NODE) {
        add_text(reinterpret_cast<const char*>(node->content), preformatted);
      } else if (node->type == XML_ELEMENT_NODE) {
        const std::string_view name(reinterpret_cast<const char*>(node->name));
        const bool block = is_block(name);
        if (block) end_line();
        if (name == "li") add_text("- ", true);
        add(node->children, preformatted || name == "pre", depth + 1);
        if (block) end_line();
      }
    }
  }

  std::string take() { return std::string(trimmed(text_)); }

 private:
  static constexpr int kMaxDepth = 256;

  static bool is_block(std::string_view name) {
    static constexpr std::array kBlocks = {std::string_view("br"), std::string_view("p"),   std::string_view("div"),
                                           std::string_view("li"), std::string_view("ul"),  std::string_view("ol"),
                                           std::string_view("tr"), std::string_view("pre"), std::string_view("table")};
    for (const std::string_view block : kBlocks)
      if (block == name) return true;
    return false;
  }

  void end_line() {
    while (!text_.empty() && text_.back() == ' ') text_.pop_back();
    if (!text_.empty() && text_.back() != '\n') text_ += '\n';
  }

  void add_text(std::string_view text, bool preformatted) {
    if (preformatted) {
      text_ += text;
      return;
    }
    for (const char letter : text) {
      const bool white = letter == ' ' || letter == '\n' || letter == '\t' || letter == '\r';
      if (!white)
        text_ += letter;
      else if (!text_.empty() && text_.back() != ' ' && text_.back() != '\n')
        text_ += ' ';
    }
  }

  std::string text_;
};

}  // namespace

std::string plain_text(const std::string& xhtml) {
  if (xhtml.find_first_of("<&") == std::string::npos) {
    xmlNode lone{};
    lone.type = XML_TEXT_NODE;
    lone.content = reinterpret_cast<xmlChar*>(const_cast<char*>(xhtml.c_str()));
    PlainText text;
    text.add(&lone, false, 0);
    return text.take();
  }
  // Prefixes are declared outside of this fragment; the recovering parser keeps the elements all the same.
  const std::string whole =
      "<x xmlns:xhtml='http://www.w3.org/1999/xhtml' "
      "xmlns:html='http://www.w3.org/1999/xhtml'>" +
      xhtml + "</x>";
  const std::unique_ptr<xmlDoc, decltype(&xmlFreeDoc)> document(
      xmlReadMemory(whole.data(), static_cast<int>(whole.size()), nullptr, nullptr,
                    XML_PARSE_RECOVER | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_NONET),
      &xmlFreeDoc);
  PlainText text;
  if (document) text.add(xmlDocGetRootElement(document.get()), false, 0);
  return text.take();
}

}  // namespace gf
