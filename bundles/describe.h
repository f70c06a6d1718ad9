// What gf-bundle prints about a bundle, for people and as JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "bundles/bundle.h"
#include "bundles/create.h"

namespace gf {

nlohmann::json describe(const Bundle& bundle);
std::string bundle_text(const Bundle& bundle);

// Every line begins with UNVERIFIED; text from the bundle is escaped.
std::string unverified_text(const UnverifiedBundle& bundle);
nlohmann::json describe_unverified(const UnverifiedBundle& bundle);

}  // namespace gf
