// Who wrote a script: the vendor's reviewed content, or the model.
#pragma once

#include <string_view>

namespace gf {

enum class Origin { vetted, model };

std::string_view origin_name(Origin origin);  // "vetted", "model"

// What a job may do. A scan runs no script; in a trial nothing reaches the target.
enum class Mode { scan, trial, apply };

std::string_view mode_name(Mode mode);  // "scan", "trial", "apply"

}  // namespace gf
