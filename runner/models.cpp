// Loading the models from bundles, and asking them.
#include "runner/models.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/chat.h"
#include "engine/engine.h"
#include "engine/grammar.h"
#include "engine/planner.h"
#include "engine/repetition.h"
#include "engine/tool_call.h"
#include "kernels/base/error.h"

namespace gf {
namespace {

constexpr uint64_t kSeedStep = 0x9E3779B97F4A7C15ULL;
constexpr int kTries = 2;  // the second after a repetition loop, with another seed

struct LoadedModel {
  ModelChoice choice;
  Digest digest;
  std::unique_ptr<WeightsSource> weights;
  std::unique_ptr<Tokenizer> tokenizer;
  std::shared_ptr<const GrammarVocabulary> vocabulary;
  std::unique_ptr<Engine> engine;
  std::vector<int32_t> stop_ids;
  ChatFamily family = ChatFamily::large;
  std::vector<std::string> roles;
};

std::string need_text(const WeightsSource& weights, const ModelChoice& model, std::string_view file) {
  std::optional<std::string> text = weights.text(file);
  if (!text)
    throw Error(Code::input, "the model ", printable(model.name), " has no ", file, " below ", printable(model.folder));
  return *std::move(text);
}

EngineOptions engine_options(const JobManifest& manifest, const Job& job, const std::string& model) {
  EngineOptions options;
  options.threads = static_cast<int>(job.threads);
  options.max_sequences = job.parallel_trials;
  options.max_context = 256;
  for (const auto& [kind, role] : manifest.roles)
    if (role.model == model) options.max_context = std::max(options.max_context, role.context_tokens);
  return options;
}

// The union of generation_config.json's and config.json's stop ids, and the end of a turn.
std::vector<int32_t> stop_ids_of(const WeightsSource& weights, const ModelConfig& config, const Tokenizer& tokenizer) {
  std::vector<int32_t> ids = config.eos_token_ids;
  if (const auto text = weights.text("generation_config.json")) {
    const nlohmann::json value = nlohmann::json::parse(*text, nullptr, false);
    if (value.is_object() && value.contains("eos_token_id")) {
      const nlohmann::json& listed = value["eos_token_id"];
      for (const nlohmann::json& id : listed.is_array() ? listed : nlohmann::json::array({listed}))
        if (id.is_number_integer()) ids.push_back(id.get<int32_t>());
    }
  }
  for (const std::string_view end : {"<turn|>", "<eos>"})
    if (const auto id = tokenizer.special_id(end)) ids.push_back(*id);
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

std::vector<std::string> models_in_use(const JobManifest& manifest) {
  std::vector<std::string> names;
  for (const auto& [kind, role] : manifest.roles)
    if (std::find(names.begin(), names.end(), role.model) == names.end()) names.push_back(role.model);
  return names;
}

const ModelChoice& choice_of(const JobManifest& manifest, const std::string& name) {
  return *std::find_if(manifest.models.begin(), manifest.models.end(),
                       [&](const ModelChoice& model) { return model.name == name; });
}

std::unique_ptr<LoadedModel> load_model(const BundleSet& set, const JobManifest& manifest, const Job& job,
                                        const std::string& name) {
  auto model = std::make_unique<LoadedModel>();
  model->choice = choice_of(manifest, name);
  model->digest = set.checkpoint_digest(model->choice.folder);
  model->weights = open_checkpoint(set.checkpoint(model->choice.folder));
  const ModelConfig config = parse_model_config(need_text(*model->weights, model->choice, "config.json"));
  model->tokenizer =
      std::make_unique<Tokenizer>(Tokenizer::parse(need_text(*model->weights, model->choice, "tokenizer.json")));
  model->vocabulary = make_grammar_vocabulary(*model->tokenizer);
  model->engine = Engine::load(config, *model->weights, engine_options(manifest, job, name));
  model->stop_ids = stop_ids_of(*model->weights, config, *model->tokenizer);
  // E2B and E4B, the members with per-layer embeddings, were trained with a prompt of their own.
  model->family = config.per_layer_width > 0 ? ChatFamily::small : ChatFamily::large;
  return model;
}

}  // namespace

struct Models::State {
  JobManifest manifest;
  std::map<std::string, std::unique_ptr<LoadedModel>> models;
  std::map<RoleKind, std::string> prompts;
  std::vector<std::pair<std::string, Digest>> prompt_digests;
};

Models::Models() : state_(std::make_unique<State>()) {}
Models::~Models() = default;

std::unique_ptr<Models> Models::load(const BundleSet& set, const JobManifest& manifest, const Job& job) {
  std::unique_ptr<Models> models(new Models());
  models->state_->manifest = manifest;
  for (const std::string& name : models_in_use(manifest))
    models->state_->models[name] = with_context("while loading the model " + printable(name),
                                                [&] { return load_model(set, manifest, job, name); });
  for (const auto& [kind, role] : manifest.roles) {
    const std::string text = BundleSet::text(set.find(Kind::prompt, role.prompt));
    models->state_->prompt_digests.emplace_back(role.prompt, sha384(text));
    models->state_->prompts[kind] = text;
    models->state_->models[role.model]->roles.emplace_back(to_text(kind));
  }
  return models;
}

bool Models::has(RoleKind role) const { return state_->manifest.roles.contains(role); }

Models::Answer Models::ask(RoleKind kind, const nlohmann::json& schema, const std::vector<PromptPart>& parts,
                           uint64_t seed, const std::function<bool()>& cancelled) {
  const Role& role = state_->manifest.roles.at(kind);
  LoadedModel& model = *state_->models.at(role.model);
  const auto grammar = compile_schema(schema, model.vocabulary);
  const ThinkingMode thinking = role.thinking ? ThinkingMode::on : ThinkingMode::off;
  const int64_t least = least_tokens(*grammar, thinking);
  Answer answer;
  if (least > role.max_new_tokens) {
    answer.reason = "the answer needs at least " + std::to_string(least) + " tokens, and the role may write " +
                    std::to_string(role.max_new_tokens);
    return answer;
  }
  ChatRequest chat;
  chat.thinking = role.thinking ? Thinking::on : Thinking::off;
  chat.family = model.family;
  chat.messages = {chat_message("system", state_->prompts.at(kind)), chat_message("user", "")};
  const auto frame = static_cast<int64_t>(encode_chat(chat, *model.tokenizer).size());
  const int64_t room = role.context_tokens - role.max_new_tokens - frame;
  chat.messages.back() = chat_message("user", assemble(parts, *model.tokenizer, room).text);

  for (int attempt = 0; attempt < kTries; ++attempt) {
    RepetitionDetector detector;
    bool looping = false;
    GenerateRequest request;
    request.prompt = encode_chat(chat, *model.tokenizer);
    request.max_new_tokens = role.max_new_tokens;
    request.sampling = {role.temperature, static_cast<int>(role.top_k), role.top_p,
                        seed + static_cast<uint64_t>(attempt) * kSeedStep};
    request.stop_ids = model.stop_ids;
    request.filter = make_filter(grammar, thinking);
    request.on_token = [&](int32_t token) { looping = detector.add(token) || looping; };
    request.cancelled = [&] { return looping || cancelled(); };
    const GenerateResult result = model.engine->generate(std::move(request));
    answer.seconds += result.seconds;
    if (result.finish == Finish::stop || result.finish == Finish::filter_done) {
      answer.json = std::string(trimmed(parse_output(result.tokens, *model.tokenizer).answer));
      answer.reason.clear();
      return answer;
    }
    answer.reason = looping ? "the model repeated itself" : "the model's answer was not finished";
    if (!looping) return answer;
  }
  return answer;
}

std::vector<Models::Loaded> Models::loaded() const {
  std::vector<Loaded> list;
  for (const auto& [name, model] : state_->models)
    list.push_back({name, model->roles, model->digest, "bf16", model->engine->weight_bytes(), model->choice.demo,
                    model->choice.note});
  return list;
}

std::vector<std::pair<std::string, Digest>> Models::prompts() const { return state_->prompt_digests; }

std::vector<std::string> describe_models(const BundleSet& set, const JobManifest& manifest, const Job& job) {
  std::vector<std::string> lines;
  for (const std::string& name : models_in_use(manifest)) {
    const ModelChoice& choice = choice_of(manifest, name);
    const auto weights = open_checkpoint(set.checkpoint(choice.folder));
    const ModelConfig config = parse_model_config(need_text(*weights, choice, "config.json"));
    const MemoryPlan plan = plan_memory(config, *weights, engine_options(manifest, job, name));
    lines.push_back("model " + printable(name) + " on the CPU: weights " + std::to_string(plan.weight_bytes) +
                    " bytes, key-value cache " + std::to_string(plan.kv_bytes) + ", workspace " +
                    std::to_string(plan.workspace_bytes) + ", together " + std::to_string(plan.total()));
  }
  return lines;
}

}  // namespace gf
