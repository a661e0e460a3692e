//! Opens what is pinned or creates it, and decides whether the running program can stay.

use super::{
    error::{DataplaneError, Result},
    features,
    maps::Maps,
    pin::{self, Pins},
    spec::{self, MapSpec, NO_PREALLOC},
    verifier,
};
use crate::model::Settings;
use aya::{
    EbpfLoader,
    maps::{MapData, MapInfo},
    programs::{ProgramError, Xdp},
};
use aya_obj::programs::XdpAttachType;
use lb_common::abi::{
    Features, GLOBAL_FEATURES, GLOBAL_NAT_PORTS, GLOBAL_SEED, GLOBAL_TRACE_COOKIE, LAYOUT_VERSION,
    LoadInfo,
};
use rustix::process::{Resource, Rlimit, setrlimit};
use std::{
    collections::hash_map::RandomState,
    fs,
    hash::{BuildHasher, Hasher},
    io,
    path::{Path, PathBuf},
};

/// Name of the forwarding program.
pub const FORWARD: &str = "lb_forward";

/// Opens the pinned maps, creating those that are missing. Refuses what does not fit.
pub(super) fn open_maps(pins: &Pins, object: &[u8], settings: &Settings) -> Result<Maps> {
    pins.create()?;
    raise_memlock();
    let specs = spec::maps(settings);
    let is_complete = check_pinned(pins, &specs)?;
    if !is_complete {
        for spec in specs.iter().filter(|spec| spec.is_agents) {
            create_agents(pins, spec)?;
        }
        drop(prepare(pins, object, settings, &Globals::default())?);
    }
    let mut maps = Maps::open(pins)?;
    let mut info = maps.load_info()?;
    check_layout(&info)?;
    info.layout_version = LAYOUT_VERSION;
    info.flows_max = settings.flows_max;
    info.agent_pid = std::process::id();
    info.agent_started_ms = now_ms();
    maps.set_load_info(info)?;
    Ok(maps)
}

/// Refuses maps of another layout; maps that were just created have none yet.
pub(super) fn check_layout(info: &LoadInfo) -> Result<()> {
    if matches!(info.layout_version, 0 | LAYOUT_VERSION) {
        return Ok(());
    }
    Err(DataplaneError::Incompatible {
        what: format!(
            "the pinned maps have layout version {}, this program has {LAYOUT_VERSION}",
            info.layout_version
        ),
    })
}

/// The program to run: the pinned one while it serves, else a new one, pinned in its place.
/// Answers whether it is new.
pub(super) fn ensure_program(
    pins: &Pins,
    maps: &mut Maps,
    object: &[u8],
    settings: &Settings,
    needed: Features,
) -> Result<(Xdp, bool)> {
    let info = maps.load_info()?;
    let wanted = Globals::new(settings, needed);
    let path = pins.program(FORWARD);
    if path.exists() && serves(&info, object, &wanted) {
        let program = open_program(&path, FORWARD)?;
        return Ok((program, false));
    }
    let fresh = load_fresh(pins, object, settings, &wanted)?;
    let info = maps.load_info()?;
    // Neither the old program's parts nor the new one's: killed before it is told which of them is
    // pinned, the daemon trusts neither when it starts again, and loads.
    maps.set_load_info(LoadInfo { object_hash: 0, ..info })?;
    fs::rename(&fresh, &path).map_err(DataplaneError::io(format!("pinning {}", path.display())))?;
    maps.set_load_info(LoadInfo {
        features: wanted.features,
        seed: wanted.seed,
        trace_cookie: wanted.trace_cookie,
        nat_ports: wanted.nat_ports,
        object_hash: hash(object),
        ..info
    })?;
    Ok((open_program(&path, FORWARD)?, true))
}

/// Opens a pinned XDP program.
pub(super) fn open_program(path: &Path, name: &str) -> Result<Xdp> {
    Xdp::from_pin(path, XdpAttachType::Interface)
        .map_err(DataplaneError::program(name, "opening its pin"))
}

/// Read-only globals of the program.
#[derive(Default)]
pub(super) struct Globals {
    features: u32,
    seed: u64,
    nat_ports: u32,
    trace_cookie: u64,
}

impl Globals {
    fn new(settings: &Settings, needed: Features) -> Self {
        let (first, last) = settings.nat_ports;
        let count = u32::from(last.saturating_sub(first)) + 1;
        Self {
            features: needed.0,
            seed: settings.seed,
            nat_ports: u32::from(first) << 16 | count.min(u32::from(u16::MAX)),
            trace_cookie: random_cookie(),
        }
    }
}

fn serves(info: &LoadInfo, object: &[u8], wanted: &Globals) -> bool {
    info.object_hash == hash(object)
        && info.seed == wanted.seed
        && info.nat_ports == wanted.nat_ports
        && !features::needs_reload(Features(info.features), Features(wanted.features))
}

/// Loads the program and pins it beside the running one, which a refusal leaves alone; where.
fn load_fresh(
    pins: &Pins,
    object: &[u8],
    settings: &Settings,
    globals: &Globals,
) -> Result<PathBuf> {
    let mut ebpf = prepare(pins, object, settings, globals)?;
    let program = ebpf.program_mut(FORWARD).ok_or_else(|| {
        let name = FORWARD.to_owned();
        DataplaneError::Object(aya_obj::ParseError::SymbolNotFound { name }.into())
    })?;
    let program: &mut Xdp =
        program.try_into().map_err(failed::<ProgramError>("taking it for XDP"))?;
    verifier::load(FORWARD, || program.load())?;
    let fresh = pins.program("lb_forward_new");
    pin::remove(&fresh)?;
    program.pin(&fresh).map_err(|error| DataplaneError::Io {
        what: format!("pinning {}", fresh.display()),
        source: io::Error::other(error),
    })?;
    Ok(fresh)
}

fn failed<E: Into<ProgramError>>(operation: &'static str) -> impl FnOnce(E) -> DataplaneError {
    DataplaneError::program(FORWARD, operation)
}

/// Creates missing maps, reuses pinned ones, and resolves the object against them.
pub(super) fn prepare(
    pins: &Pins,
    object: &[u8],
    settings: &Settings,
    globals: &Globals,
) -> Result<aya::Ebpf> {
    let mut loader = EbpfLoader::new();
    for spec in spec::maps(settings).iter().filter(|spec| !spec.is_agents) {
        loader.map_pin_path(spec.name, pins.map(spec.name));
        loader.map_max_entries(spec.name, spec.entries_max);
    }
    loader
        .override_global(GLOBAL_FEATURES, &globals.features, true)
        .override_global(GLOBAL_SEED, &globals.seed, true)
        .override_global(GLOBAL_NAT_PORTS, &globals.nat_ports, true)
        .override_global(GLOBAL_TRACE_COOKIE, &globals.trace_cookie, true)
        .load(object)
        .map_err(DataplaneError::Object)
}

/// Checks every map that is pinned; answers whether all are.
fn check_pinned(pins: &Pins, specs: &[MapSpec]) -> Result<bool> {
    let mut is_complete = true;
    for spec in specs {
        let path = pins.map(spec.name);
        if path.exists() {
            let info = MapInfo::from_pin(&path)
                .map_err(DataplaneError::map(spec.name, "opening its pin"))?;
            spec.check(&info)?;
        } else {
            is_complete = false;
        }
    }
    Ok(is_complete)
}

fn create_agents(pins: &Pins, spec: &MapSpec) -> Result<()> {
    let path = pins.map(spec.name);
    if path.exists() {
        return Ok(());
    }
    let is_hash = spec.map_type == aya::maps::MapType::Hash;
    let definition = aya_obj::Map::new_from_params(
        spec.map_type as u32,
        spec.key_bytes as u32,
        spec.value_bytes as u32,
        spec.entries_max,
        if is_hash { NO_PREALLOC } else { 0 },
    );
    let map = MapData::create(definition, spec.name, None)
        .map_err(DataplaneError::map(spec.name, "creating"))?;
    map.pin(&path).map_err(|error| DataplaneError::Map {
        map: spec.name,
        operation: "pinning",
        source: aya::maps::MapError::PinError { name: Some(spec.name.to_owned()), error },
    })
}

/// Kernels before 5.11 charge maps to this limit. Failure shows when a map is created.
pub(super) fn raise_memlock() {
    let unlimited = Rlimit { current: None, maximum: None };
    if let Err(error) = setrlimit(Resource::Memlock, unlimited) {
        tracing::debug!(%error, "the limit of locked memory stays as it is");
    }
}

/// Tells objects apart (FNV-1a, 64 bit).
pub(super) fn hash(object: &[u8]) -> u64 {
    object.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Not 0, which means "no cookie". Marks a request as the agent's; it guards nothing, since only
/// `BPF_PROG_TEST_RUN` can put metadata in front of a frame before the first program sees it.
fn random_cookie() -> u64 {
    RandomState::new().build_hasher().finish() | 1
}

fn now_ms() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_serves_until_object_seed_ports_or_parts_change() {
        let settings = Settings::default();
        let object = b"object".as_slice();
        let wanted = Globals::new(&settings, Features::ALL);
        let info = LoadInfo {
            features: wanted.features,
            seed: wanted.seed,
            nat_ports: wanted.nat_ports,
            object_hash: hash(object),
            ..LoadInfo::default()
        };
        assert!(serves(&info, object, &wanted));
        assert!(!serves(&info, b"other", &wanted));
        let reseeded = Settings { seed: 1, ..settings.clone() };
        assert!(!serves(&info, object, &Globals::new(&reseeded, Features::ALL)));
        let other_ports = Settings { nat_ports: (2000, 2999), ..settings };
        assert!(!serves(&info, object, &Globals::new(&other_ports, Features::ALL)));
    }

    #[test]
    fn the_port_range_is_first_and_count() {
        let settings = Settings { nat_ports: (1024, 1024), ..Settings::default() };
        assert_eq!(Globals::new(&settings, Features::ALL).nat_ports, 1024 << 16 | 1);
    }
}
