// gf-run itself talks to nobody: after this the process and all it starts cannot make an internet socket.
#pragma once

namespace gf {

// seccomp: socket() and socketpair() of every family but AF_UNIX and AF_NETLINK end with EACCES; io_uring,
// which could make sockets past the filter, with ENOSYS. Called after the launcher was started: the
// evaluator's processes need an unconnected socket and have a filter of their own. Throws Code::unsupported.
void deny_network();

}  // namespace gf
