//! What a provider is asked for, where the provider is not.

use homolog_engine::{
    Provider,
    plan::{Place, Plan},
};

#[test]
fn on_a_cpu_sessions_and_threads_come_of_the_cores_and_nothing_is_bound() {
    for (cores, workers, threads) in [(1, 1, 1), (2, 1, 2), (8, 1, 8), (9, 2, 4), (16, 2, 8), (64, 8, 8)] {
        let plan = Plan::new(Provider::Cpu, cores, 0, 0, 0);
        assert_eq!((plan.workers, plan.threads, plan.most_batch), (workers, threads, 1), "{cores} cores");
        assert_eq!([plan.pixels, plan.tokens, plan.descriptors], [Place::Unbound; 3]);
        assert!(!plan.spinning && !plan.prepacking && plan.options.is_empty());
    }
}

#[test]
fn what_was_asked_for_is_taken() {
    let plan = Plan::new(Provider::Cpu, 2, 3, 4, 5);
    assert_eq!((plan.workers, plan.threads, plan.most_batch), (3, 4, 5));
}

#[test]
fn on_cuda_tokens_stay_on_the_device_and_pinned_memory_leads_there_and_back() {
    let plan = Plan::new(Provider::Cuda, 16, 0, 0, 0);
    assert_eq!((plan.workers, plan.most_batch), (2, 8));
    assert_eq!([plan.pixels, plan.tokens, plan.descriptors], [Place::Pinned, Place::Device, Place::Pinned]);
    let option = |name: &str| plan.options.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
    assert_eq!(option("use_tf32"), Some("0"));
    assert_eq!(option("arena_extend_strategy"), Some("kSameAsRequested"));
    assert_eq!(option("cudnn_conv_algo_search"), Some("HEURISTIC"));
}
