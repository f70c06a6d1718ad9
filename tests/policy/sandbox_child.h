// Runs a body in a forked child, inside a sandbox, and tells how it ended. The test program has no
// threads, so forking is sound here.
#pragma once

#include <functional>

namespace gf::test {

// What the body returned (0-255); 1000 + N if signal N ended the child; 2000 if an exception left it.
int run_in_child(const std::function<int()>& body);

// The errno that a call failed with, 0 if it did not fail.
int error_after(long result);

// True if this process is root with the capabilities that entering a sandbox needs.
bool can_enter_sandbox();

}  // namespace gf::test
