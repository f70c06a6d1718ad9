// The built-in deny patterns. They keep the model from wasting trials on what could never be
// committed or would hurt if it were; they are not the barrier. The sandbox and the second judgement
// of the gate are, since any pattern can be written around.
#include <string>

#include "policy/builtin_rules.h"

namespace gf {

namespace {

// Where a command begins: at a line's start or after what ends another command, with the words that
// run another command in front of it, and maybe with a folder.
const std::string kCommand =
    "(^|[;&|(`{!]|(^|[[:space:]])(then|do|else|if|while|until|exec|command|sudo|xargs|env|nohup|nice|time|timeout "
    "[0-9a-z.]+|-exec|-c)[[:space:]])[[:space:]]*([a-z_0-9]+=[^[:space:]]*[[:space:]]+)*(/[^[:space:]]*/)?";
const std::string kEnd = "([[:space:];&|)`]|$)";

std::string command(const std::string& names) { return kCommand + "(" + names + ")" + kEnd; }

DenyPattern deny(std::string name, const std::string& expression) {
  Pattern pattern(expression, "built-in deny pattern " + name);
  return {.name = std::move(name), .pattern = std::move(pattern), .applies = DenyPattern::Applies::model};
}

}  // namespace

std::vector<DenyPattern> builtin_deny_patterns() {
  const std::string shells = "(ba|da|z|k|a)?sh|python[0-9.]*|perl|ruby|node";
  const std::string top = "(\\*|bin|boot|dev|etc|home|lib|lib64|opt|root|sbin|srv|usr|var)?/?\\*?";
  std::vector<DenyPattern> list;
  list.push_back(deny(
      "network-fetch",
      command("curl|wget|ftp|tftp|lftp|scp|sftp|rsync|telnet|socat|ncat|nc|netcat|ssh|aria2c") + "|/dev/(tcp|udp)/"));
  list.push_back(deny("package-from-network", command("pip[0-9.]*|npm|gem|cpan|cpanm|cargo|go|git|snap|flatpak") +
                                                  "|(dnf|yum|rpm|apt|apt-get|dpkg)[[:space:]].*(https?|ftp)://"));
  list.push_back(deny("pipe-to-shell", "\\|[[:space:]]*((sudo|env|nohup|exec)[[:space:]]+)*(/[^[:space:]]*/)?(" +
                                           shells + ")" + kEnd + "|(" + shells + "|source|\\.)[[:space:]]+<\\("));
  list.push_back(deny("eval", command("eval")));
  list.push_back(deny("decoded-script",
                      "base(32|64)[[:space:]].*(-d|--decode|-D)|xxd[[:space:]]+(-[a-z]+[[:space:]]+)*-[a-z]*r|"
                      "openssl[[:space:]]+(enc|base64)[[:space:]].*-d|uudecode"));
  list.push_back(deny("remove-top-folder", "rm[[:space:]]+(-[-a-z=]+[[:space:]]+)*/" + top +
                                               "([[:space:];&|)`]|$)|--no-preserve-root|find[[:space:]]+/" + top +
                                               "[[:space:]].*-delete"));
  list.push_back(deny(
      "open-top-folder",
      "(chmod|chown|chgrp)[[:space:]]+(-[-a-z]+[[:space:]]+)*-[a-z]*R.*[[:space:]]/" + top + "([[:space:];&|)`]|$)"));
  list.push_back(
      deny("disk-write", "of=/dev/|>[[:space:]]*/dev/(sd|nvme|vd|xvd|hd|mapper|dm-|md|mem|kmem|port|loop)|" +
                             command("mkfs[.a-z0-9]*|mke2fs|fdisk|sfdisk|gdisk|sgdisk|parted|wipefs|blkdiscard|"
                                     "cryptsetup|shred|(lv|vg|pv)(remove|create|reduce)|mkswap|swapoff|swapon")));
  list.push_back(deny("disable-audit",
                      "(^|[[:space:]])(stop|disable|mask)[[:space:]].*auditd|auditd[[:space:]]+stop|auditctl[[:space:]]"
                      "+(-e[[:space:]]*0|-D)|"
                      "audit=0"));
  list.push_back(deny("disable-selinux",
                      "setenforce[[:space:]]+(0|permissive)|SELINUX=(disabled|permissive)|selinux=0|enforcing=0"));
  list.push_back(deny("kernel-module", command("insmod|modprobe|rmmod|kexec|depmod|dkms")));
  list.push_back(deny(
      "reboot", command("reboot|poweroff|halt|shutdown|telinit|init[[:space:]]+[0-6]") +
                    "|systemctl[[:space:]].*(reboot|poweroff|halt|kexec|rescue|emergency|isolate|suspend|hibernate)" +
                    kEnd + "|sysrq-trigger"));
  list.push_back(
      deny("namespaces",
           command("unshare|nsenter|chroot|pivot_root|setpriv|capsh|bwrap|systemd-run|systemd-nspawn|machinectl|"
                   "docker|podman|runc|crun|ip[[:space:]]+netns")));
  list.push_back(
      deny("wipe-logs",
           "(rm|truncate|shred|unlink)[[:space:]].*/var/log(/|[[:space:]]|$)|history[[:space:]]+-c|"
           "journalctl[[:space:]].*--vacuum|>[[:space:]]*/var/log/(audit|secure|messages|wtmp|btmp|lastlog)"));
  list.push_back(
      deny("set-password", command("chpasswd|mkpasswd") +
                               "|passwd[[:space:]].*--stdin|(user|group)(add|mod)[[:space:]].*(-p|--password)" + kEnd +
                               "|passwd[[:space:]]+(-d|--delete)"));
  list.push_back(
      deny("new-superuser", "user(add|mod)[[:space:]].*(-[a-z]*o|--non-unique|-u[[:space:]]*0|--uid[[:space:]=]*0)" +
                                kEnd + "|^[^#]*:x?:0+:[0-9]*:"));
  list.push_back(deny("login-keys", "authorized_keys|\\.rhosts|\\.shosts|hosts\\.equiv"));
  list.push_back(deny("preload", "ld\\.so\\.preload|LD_PRELOAD=|LD_LIBRARY_PATH="));
  list.push_back(deny(
      "special-bits",
      "chmod[[:space:]](.*[[:space:]])?([ugoa]*[+=][rwxX]*s|0?[2-7][0-7][0-7][0-7][[:space:]])|" + command("setcap")));
  list.push_back(
      deny("world-writable",
           "chmod[[:space:]](.*[[:space:]])?(0?[0-7]?[0-7][0-7][2367]|[go]*[ao][go]*[+=][rx]*w[rwx]*)[[:space:]]"));
  list.push_back(deny("device-node", command("mknod")));
  list.push_back(deny("fork-bomb", "\\(\\)[[:space:]]*\\{[^}]*\\|[^}]*&[[:space:]]*\\}"));
  list.push_back(deny("gf-run-itself", "gf-(run|bundle|report)([^a-z0-9]|$)"));
  return list;
}

}  // namespace gf
