#include "convert/layer_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <unordered_map>

#include "base/text.h"
#include "convert/source_tensors.h"
#include "convert/tensor_loop.h"

namespace slim {
namespace {

uint64_t PartBytes(const PartSpec& part) {
  const auto size = ByteSize(part.dtype, part.shape);
  return size.ok() ? *size : 0;
}

// Source tensors, logical form and outputs are in memory together.
uint64_t CostOf(const LayerWork& work) {
  if (work.plan.copies) return CopyBytes(*work.layer->sources.front());
  uint64_t cost = 0;
  for (const TensorEntry* source : work.layer->sources) cost += source->size;
  if (!work.layer->note.empty()) cost += PartBytes(*work.layer->part(Role::kWeight));
  for (const LayerOutput& output : work.plan.outputs)
    cost += PartBytes({output.spec.dtype, output.spec.shape});
  return cost;
}

class LayerPlanner {
 public:
  LayerPlanner(const Checkpoint& source, const ConvertOptions& options)
      : source_(source), options_(options) {}

  Result<ConvertPlan> Run();

 private:
  Status CheckSource() const;
  Status CheckFloat() const;
  void Order();
  Status PlanLayers();
  void AddOutputs(const LayerWork& work);
  void AddDropped(const LogicalLayer& layer, const std::string& reason);
  Status PlanMemory();
  Status PlanWriting();

  const Checkpoint& source_;
  const ConvertOptions& options_;
  std::vector<const LogicalLayer*> order_;
  std::vector<uint32_t> shard_numbers_;
  ConvertPlan plan_;
};

Status LayerPlanner::CheckSource() const {
  if (source_.is_single_file() && source_.config() == nullptr) {
    return InputError("CV-single-file", "is one file, a conversion needs the whole directory",
                      "name the directory with config.json")
        .WithPath(source_.path());
  }
  if (source_.config() != nullptr) return {};
  return InputError("IN-missing", "no such file", "copy it from the float model")
      .WithPath(JoinPath(source_.path(), "config.json"));
}

// What may be a float checkpoint is one, or is dequantized.
Status LayerPlanner::CheckFloat() const {
  if (plan_.to != Dialect::kHf || options_.dequantize) return {};
  const auto quantized = std::ranges::find_if(plan_.reader->layers(), &LogicalLayer::is_quantized);
  if (quantized == plan_.reader->layers().end()) return {};
  return InputError("CV-float-dialect", "is quantized, hf is a float dialect",
                    "--dequantize writes codes times scales as floats")
      .WithTensor(quantized->sources.front()->name)
      .WithPath(source_.path());
}

// Model order, so that descriptions and parts come out as a writer of the model would have them.
void LayerPlanner::Order() {
  const std::unordered_map<std::string, size_t> ranks = ModuleRanks(source_);
  const auto rank = [&](const LogicalLayer& layer) {
    const std::string module(layer.is_linear ? std::string_view(layer.name)
                                             : SplitTensorName(layer.name).module);
    const auto found = ranks.find(module);
    return found == ranks.end() ? ranks.size() : found->second;
  };
  for (const LogicalLayer& layer : plan_.reader->layers()) order_.push_back(&layer);
  std::stable_sort(order_.begin(), order_.end(), [&](const auto* a, const auto* b) {
    const size_t rank_a = rank(*a);
    const size_t rank_b = rank(*b);
    return rank_a != rank_b ? rank_a < rank_b : NaturalLess(a->name, b->name);
  });
}

void LayerPlanner::AddDropped(const LogicalLayer& layer, const std::string& reason) {
  const TensorEntry& entry = *layer.sources.front();
  TensorPlan dropped = PlanCopy(entry, "FLOAT");
  dropped.action = TensorAction::kDrop;
  dropped.reason = reason;
  plan_.dropped.push_back(std::move(dropped));
}

void LayerPlanner::AddOutputs(const LayerWork& work) {
  for (const LayerOutput& output : work.plan.outputs) {
    TensorPlan tensor;
    tensor.name = output.spec.name;
    tensor.label = output.label;
    tensor.source = work.layer->sources.front()->name;
    tensor.from = work.layer->sources.front()->dtype;
    tensor.from_shape = work.layer->sources.front()->shape;
    const auto role = ParseRole(SplitTensorName(output.spec.name).suffix);
    for (const TensorEntry* source : work.layer->sources) {
      // The source of the same role where there is one: scales from scales.
      if (role && *role != Role::kWeight &&
          source->name == fmt::format("{}.{}", work.layer->name, RoleSuffix(*role))) {
        tensor.source = source->name;
        tensor.from = source->dtype;
        tensor.from_shape = source->shape;
      }
    }
    tensor.to = output.spec.dtype;
    tensor.shape = output.spec.shape;
    tensor.action = work.plan.copies ? TensorAction::kCopy : TensorAction::kConvert;
    tensor.loss = work.plan.loss;
    tensor.reason = work.plan.reason;
    tensor.shard = shard_numbers_[work.layer->sources.front()->shard];
    plan_.tensors.push_back(std::move(tensor));
  }
}

Status LayerPlanner::PlanLayers() {
  shard_numbers_ = ShardNumbers(source_);
  for (const LogicalLayer* layer : order_) {
    auto planned = plan_.target->Plan(*layer);
    if (!planned.ok()) {
      Error error = std::move(planned).error();
      if (error.tensor.empty()) error.tensor = layer->sources.front()->name;
      if (error.path.empty()) error.path = source_.path();
      return error;
    }
    if (planned->outputs.empty()) {
      AddDropped(*layer, planned->reason);
      continue;
    }
    plan_.loss = std::max(plan_.loss, planned->loss);
    plan_.layers.push_back({layer, std::move(*planned), {}});
    AddOutputs(plan_.layers.back());
  }
  for (const LayerReader::Dropped& dropped : plan_.reader->dropped())
    AddDropped(PlainLayer(*dropped.entry), dropped.reason);
  return {};
}

Status LayerPlanner::PlanMemory() {
  uint64_t largest = 0;
  for (const LayerWork& work : plan_.layers) largest = std::max(largest, CostOf(work));
  SLIM_ASSIGN(plan_.budget, BudgetFor(largest, options_.max_memory));
  return {};
}

Status LayerPlanner::PlanWriting() {
  WritePlan& write = plan_.write;
  write.dialect = plan_.to;
  write.part_size = options_.part_size;
  // Files by kind of tensor are no shards.
  const bool sharded = source_.guess().container != Container::kNpy;
  write.keep_shards = options_.part_size == 0 && sharded;
  write.shard_count = static_cast<uint32_t>(std::max<size_t>(source_.shards().size(), 1));
  for (const TensorPlan& tensor : plan_.tensors)
    write.tensors.push_back({{tensor.name, tensor.to, tensor.shape}, tensor.label, tensor.shard});
  if (!source_.shards().empty() && plan_.to == Dialect::kHf) write.metadata = {{"format", "pt"}};
  ConfigTarget config{plan_.from, plan_.to, "float", 0, options_.dtype};
  std::vector<LayerPlan> planned;
  for (const LayerWork& work : plan_.layers) planned.push_back(work.plan);
  SLIM_TRY(plan_.target->Finish(planned, write, config, plan_.notes));
  plan_.quant_type = write.globals.model_quant_type;
  OrderForDialect(plan_.to, write.tensors);
  std::unordered_map<std::string, size_t> positions;
  for (size_t i = 0; i < plan_.tensors.size(); ++i) {
    if (!positions.emplace(plan_.tensors[i].name, i).second) {
      return InputError("CV-name",
                        "would be written twice: two tensors of the source have the name")
          .WithTensor(plan_.tensors[i].name)
          .WithPath(source_.path());
    }
  }
  std::vector<TensorPlan> ordered;
  std::unordered_map<std::string, size_t> final_positions;
  for (const PlannedTensor& tensor : write.tensors) {
    final_positions.emplace(tensor.spec.name, ordered.size());
    ordered.push_back(std::move(plan_.tensors[positions.at(tensor.spec.name)]));
  }
  plan_.tensors = std::move(ordered);
  for (LayerWork& work : plan_.layers) {
    for (const LayerOutput& output : work.plan.outputs)
      work.tensors.push_back(final_positions.at(output.spec.name));
  }
  auto edited = EditConfig(source_.config_text(), config);
  if (!edited.ok())
    return std::move(edited).error().WithPath(JoinPath(source_.path(), "config.json"));
  plan_.config = std::move(*edited);
  plan_.notes.insert(plan_.notes.end(), plan_.config.notes.begin(), plan_.config.notes.end());
  return {};
}

Result<ConvertPlan> LayerPlanner::Run() {
  plan_.input = source_.path();
  plan_.from = source_.dialect();
  plan_.to = options_.to;
  plan_.dequantize = options_.dequantize;
  SLIM_TRY(CheckEdge(plan_.from, plan_.to, options_.dequantize));
  SLIM_TRY(CheckSource());
  SLIM_ASSIGN(plan_.reader, OpenLayers(source_));
  SLIM_TRY(CheckFloat());
  SLIM_ASSIGN(plan_.target, MakeLayerTarget(*plan_.reader, options_));
  plan_.notes = source_.made_notes();
  const auto& notes = plan_.reader->notes();
  plan_.notes.insert(plan_.notes.end(), notes.begin(), notes.end());
  Order();
  SLIM_TRY(PlanLayers());
  SLIM_TRY(PlanMemory());
  SLIM_TRY(PlanWriting());
  plan_.side_files = ChooseSideFiles(source_, options_.keep_extra);
  plan_.made_files = source_.made_files();
  return std::move(plan_);
}

// One layer: read, made into its outputs, written.
Status RunLayer(const ConvertPlan& plan, const LayerWork& work, CheckpointWriter* writer,
                LayerLoss& loss) {
  const auto at = [&](Error error) {
    if (error.tensor.empty()) error.tensor = work.layer->sources.front()->name;
    if (error.path.empty()) error.path = plan.input;
    return error;
  };
  if (writer == nullptr && work.plan.loss == LossClass::kExact) return {};
  if (work.plan.copies) {
    return CopyTensor(*writer, work.plan.outputs[0].spec.name, plan.reader->source(),
                      *work.layer->sources.front());
  }
  auto record = plan.reader->Read(*work.layer, LayerReader::Parts::kAll);
  if (!record.ok()) return at(std::move(record).error());
  auto tensors = plan.target->Make(*work.layer, work.plan, std::move(*record), loss);
  if (!tensors.ok()) return at(std::move(tensors).error());
  if (writer == nullptr) return {};
  for (size_t i = 0; i < tensors->size(); ++i)
    SLIM_TRY(writer->Write(work.plan.outputs[i].spec.name, (*tensors)[i].data.bytes()));
  return {};
}

}  // namespace

bool GoesByLayers(Dialect from, const ConvertOptions& options) {
  return options.dequantize || TraitsOf(from).is_foreign || TraitsOf(options.to).is_foreign;
}

Result<ConvertPlan> PlanByLayers(const Checkpoint& source, const ConvertOptions& options,
                                 ThreadPool& pool, Listener& listener) {
  SLIM_ASSIGN(ConvertPlan plan, LayerPlanner(source, options).Run());
  if (options.measure && plan.loss != LossClass::kExact)
    SLIM_TRY(RunLayers(plan, nullptr, pool, listener));
  return plan;
}

Status RunLayers(ConvertPlan& plan, CheckpointWriter* writer, ThreadPool& pool,
                 Listener& listener) {
  std::vector<uint64_t> costs;
  for (const LayerWork& work : plan.layers) costs.push_back(CostOf(work));
  std::vector<LayerLoss> losses(plan.layers.size());
  const TensorLoop loop{pool, listener, plan.budget,
                        writer == nullptr ? "measuring" : "converting"};
  SLIM_TRY(ForEachTensor(
      loop, costs, [&](size_t i) { return RunLayer(plan, plan.layers[i], writer, losses[i]); }));
  plan.loss = LossClass::kExact;
  for (size_t i = 0; i < plan.layers.size(); ++i) {
    const LayerWork& work = plan.layers[i];
    // What could lose and did not is exact.
    const LossClass loss = losses[i].exact() ? LossClass::kExact : work.plan.loss;
    plan.loss = std::max(plan.loss, loss);
    for (const size_t position : work.tensors) {
      TensorPlan& tensor = plan.tensors[position];
      tensor.loss = loss;
      tensor.worst_relative_error = losses[i].worst_relative_error;
      tensor.to_zero = losses[i].to_zero;
      if (!losses[i].note.empty()) tensor.reason += "; " + losses[i].note;
      if (losses[i].noise > 0) tensor.sqnr_db = losses[i].SqnrDb();
    }
  }
  plan.measured = true;
  return {};
}

Status CheckWrittenLayers(const std::string& path, ThreadPool& pool, Listener& listener) {
  SLIM_ASSIGN(const Checkpoint written, Checkpoint::OpenForeign(path));
  SLIM_ASSIGN(const std::unique_ptr<LayerReader> reader, OpenLayers(written));
  std::vector<uint64_t> sizes;
  uint64_t largest = kUsualBudget;
  for (const LogicalLayer& layer : reader->layers()) {
    uint64_t size = 0;
    for (const TensorEntry* entry : layer.sources) size += 2 * entry->size;
    sizes.push_back(size);
    largest = std::max(largest, size);
  }
  const TensorLoop loop{pool, listener, largest, "verifying"};
  return ForEachTensor(loop, sizes, [&](size_t i) -> Status {
    auto record = reader->Read(reader->layers()[i], LayerReader::Parts::kAll);
    return record.ok() ? Status() : Status(std::move(record).error());
  });
}

}  // namespace slim
