// Output held to a JSON schema, token by token: whatever the model's probabilities are, what comes out is one
// complete JSON object that fits the schema, within the tokens that are left.
//
// The text is compact JSON; one space is allowed after ':' and ','. Strings may hold any Unicode text except
// U+0000, also written in byte tokens, which must form valid UTF-8. No special token ever comes from here,
// except the one that ends a thought, and after the last '}' the ones that stop.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "engine/token_filter.h"
#include "engine/tokenizer.h"

namespace gf {

// off: the JSON starts at once. on: `<|channel>` first, then free text, and the JSON after `<channel|>`.
// open: the prompt has opened the thought already.
enum class ThinkingMode { off, on, open };

class Grammar;            // a compiled schema; immutable, may be shared by threads
class GrammarVocabulary;  // the tokens of one tokenizer, arranged for grammars; the costly part to build

std::shared_ptr<const GrammarVocabulary> make_grammar_vocabulary(const Tokenizer& tokenizer);

// The root must be an object. Understood: type, properties, required, additionalProperties (only false),
// minLength and maxLength (code points), enum, const, minimum and maximum (integers), items, minItems,
// maxItems; title, description, default, examples, $schema, $id and $comment say nothing about form.
// Members are written in the order of `required`, then the optional ones by name. Throws Code::input naming
// the path of a keyword that is not understood.
std::shared_ptr<const Grammar> compile_schema(const nlohmann::json& schema,
                                              std::shared_ptr<const GrammarVocabulary> vocabulary);
std::shared_ptr<const Grammar> compile_schema(const nlohmann::json& schema, const Tokenizer& tokenizer);

// Fewest tokens that make_filter's text can be promised in, thinking included.
int64_t least_tokens(const Grammar& grammar, ThinkingMode thinking);

// The first call of allowed() throws Code::input if tokens_left is below least_tokens(). Thinking ends by
// itself when half of the tokens of the first call are used, or earlier where the JSON needs more.
std::shared_ptr<TokenFilter> make_filter(std::shared_ptr<const Grammar> grammar, ThinkingMode thinking);

}  // namespace gf
