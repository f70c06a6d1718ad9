// BenchmarkInfo out of loaded SCAP content.
#pragma once

#include <string>

#include "runner/content.h"
#include "runner/oscap.h"

namespace gf {

class OscapContent;

BenchmarkInfo read_benchmark(const OscapContent& content);

// XHTML (the inside of an XCCDF description and the like) as plain text: block elements and <br/> end a
// line, white space is folded except in <pre>, every other mark-up goes. What is not well-formed is read as
// far as it can be.
std::string plain_text(const std::string& xhtml);

}  // namespace gf
