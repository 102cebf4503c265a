#include "router_service/learning/gates/gate_trainer.h"

namespace penstock::router {
namespace {

constexpr GateTrainer kTrainers[] = {
    {"dselect_k", "k experts by the bits of their numbers, each bit a linear score", TrainDselectK,
     [](const std::string& file, const GateTrainOptions&) {
       config::v1::Gate gate;
       gate.mutable_dselect_k()->set_file(file);
       return gate;
     }},
    {"comet", "k trees that lead to experts, with a local search for the leaves", TrainComet,
     [](const std::string& file, const GateTrainOptions&) {
       config::v1::Gate gate;
       gate.mutable_comet()->set_file(file);
       return gate;
     }},
    {"activation", "linear scores through a nonlinearity, with a learned temperature",
     TrainActivation,
     [](const std::string& file, const GateTrainOptions& options) {
       config::v1::Gate gate;
       gate.mutable_activation()->set_file(file);
       gate.mutable_activation()->set_activation(options.activation);
       if (options.temperature) gate.mutable_activation()->set_temperature(*options.temperature);
       return gate;
     }},
    {"dense_to_sparse", "all experts at first, fewer as the temperature falls", TrainDenseToSparse,
     [](const std::string& file, const GateTrainOptions&) {
       config::v1::Gate gate;
       gate.mutable_dense_to_sparse()->set_file(file);
       return gate;
     }},
    {"phatgoose", "a vector an expert, from the requests that are its own", TrainPhatgoose,
     [](const std::string& file, const GateTrainOptions&) {
       config::v1::Gate gate;
       gate.mutable_phatgoose()->set_file(file);
       return gate;
     }},
    {"mixer", "clusters of requests, an expert each, in closed form", TrainMixer,
     [](const std::string& file, const GateTrainOptions&) {
       config::v1::Gate gate;
       gate.mutable_mixer()->set_file(file);
       return gate;
     }},
};

}  // namespace

absl::Span<const GateTrainer> GateTrainers() { return kTrainers; }

const GateTrainer* FindGateTrainer(const std::string& name) {
  for (const GateTrainer& trainer : kTrainers) {
    if (name == trainer.name) return &trainer;
  }
  return nullptr;
}

}  // namespace penstock::router
