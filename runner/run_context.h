// What the parts of one run share. Everything here is made in run_job.cpp and outlives the workers.
#pragma once

#include <string>

#include "policy/gate.h"
#include "runner/evaluator.h"
#include "runner/job.h"
#include "runner/job_manifest.h"
#include "runner/journal.h"
#include "runner/rule_table.h"
#include "runner/stop.h"
#include "runner/target.h"

namespace gf {

class Models;

struct RunContext {
  const Job& job;
  const JobManifest& manifest;
  const Gate& gate;
  ScriptLimits limits;
  Target& target;
  Evaluator& evaluator;
  Journal& journal;
  RuleTable& table;
  Models* models;  // null: the job names no roles
  const Stop& stop;
  std::string run_id;
};

}  // namespace gf
