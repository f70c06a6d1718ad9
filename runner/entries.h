// The processes that the launcher can make; there are no others.
#pragma once

#include <span>

#include "runner/launcher.h"

namespace gf {

std::span<const EntryPoint> entry_points();

}  // namespace gf
