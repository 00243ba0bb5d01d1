//! Fields of shapes that are known at run time, beside their typed twins.

mod support;

use mmstats::{
    Aggregation, Counter, DataType, DynActivity, DynArray, DynEvents, DynField, DynGauge, DynGroup,
    DynState, DynText, Error, FieldOptions, FloatCounter, GroupMember, Lane, Latency, Options,
    Publisher, Scalar, Schema, Shape, SharedField, Text,
};
use mmstats_observe::{File, OwnedValue};
use support::look;

fn start(directory: &tempfile::TempDir) -> Publisher<Lane> {
    Options::new().directory(directory.path()).without_system_fields().start().unwrap()
}

/// Label and value of each field, as debug text.
fn seen(directory: &tempfile::TempDir) -> Vec<(String, String)> {
    let observer = look(directory.path());
    let of_file = |file: &File| -> Vec<_> {
        let values = file.values().into_iter();
        let values = values.map(|reading| format!("{:?}", reading.value));
        file.fields().map(|field| field.label().to_owned()).zip(values).collect()
    };
    let mut all: Vec<_> = observer.files().iter().flat_map(of_file).collect();
    all.sort();
    all
}

/// The value of a field of the only program.
fn value(directory: &tempfile::TempDir, label: &str) -> String {
    let found = seen(directory).into_iter().find(|(name, _)| name == label);
    found.unwrap_or_else(|| panic!("no field {label}")).1
}

#[test]
fn dyn_field_of_each_shape_attaches_and_is_read_back() {
    let directory = tempfile::tempdir().unwrap();
    let publisher = start(&directory);
    let lane = publisher.lane().unwrap();
    let add = |label: &str, shape: Shape, options: FieldOptions<DynField>| {
        let key = publisher.add::<DynField>(label, options.shape(shape)).unwrap();
        lane.attach(key).unwrap()
    };
    let new = FieldOptions::<DynField>::new;
    let DynField::Counter(counter) = add("counter", Shape::Counter, new()) else { panic!() };
    counter.add(41);
    let DynField::FloatCounter(floats) = add("floats", Shape::FloatCounter, new()) else {
        panic!()
    };
    floats.add(2.5);
    let gauge = add("gauge", Shape::Gauge(DataType::I16), new());
    let DynField::Gauge(gauge) = gauge else { panic!() };
    assert!(gauge.set(Scalar::I64(-42)) && !gauge.set(Scalar::I64(40_000)));
    assert!(gauge.add(Scalar::I64(-1)) && !gauge.set(Scalar::F64(1.0)));
    assert_eq!((gauge.get(), gauge.ty()), (Some(Scalar::I64(-43)), DataType::I16));
    let DynField::Timestamp(time) = add("time", Shape::Timestamp, new()) else { panic!() };
    time.set_nanos(44);
    let DynField::Text(text) = add("text", Shape::Text, new().capacity(5)) else { panic!() };
    assert!(text.set("four5") && !text.set("forty-five"));
    let DynField::Blob(blob) = add("blob", Shape::Blob, new()) else { panic!() };
    assert!(blob.set(&[46]));
    let array = add("array", Shape::Array(DataType::U8), new().count(3));
    let DynField::Array(array) = array else { panic!() };
    assert!(array.set(&[1_u8, 2, 47]));
    let state = add("state", Shape::State, new().states(["off", "on"]));
    let DynField::State(state) = state else { panic!() };
    assert!(state.set(1) && !state.set(2));
    let members = [GroupMember::gauge("idle", DataType::U32), GroupMember::counter("done")];
    let DynField::Group(group) = add("group", Shape::Group, new().members(members)) else {
        panic!()
    };
    assert!(group.set(&[Scalar::U64(49), Scalar::U64(50)]));
    let DynField::Timer(timer) = add("timer", Shape::Timer, new().running()) else { panic!() };
    timer.record_nanos(51);
    let DynField::Latency(latency) = add("latency", Shape::Latency, new().error(0.1)) else {
        panic!()
    };
    latency.record_nanos(52_000);
    let DynField::Latency(sizes) = add("sizes", Shape::Histogram, new()) else { panic!() };
    sizes.record_nanos(53);
    let floats = add("ratios", Shape::FloatHistogram, new().range(0.01, 10.0));
    let DynField::FloatHistogram(ratios) = floats else { panic!() };
    ratios.record(0.5);
    let DynField::Average(average) = add("average", Shape::Average, new()) else { panic!() };
    average.record(55.0);
    let window = add("window", Shape::Window(DataType::I64), new().count(4));
    let DynField::Window(window) = window else { panic!() };
    assert!(window.record(Scalar::I64(-56)) && !window.record(Scalar::F64(1.0)));
    let DynField::Rate(rate) = add("rate", Shape::Rate, new().windows([5])) else { panic!() };
    rate.add(57);
    let DynField::Events(events) = add("events", Shape::Events, new().capacity(20)) else {
        panic!()
    };
    assert!(events.record("line 58"));
    let activity = add("activity", Shape::Activity, new().capacity(20).rows(2));
    let DynField::Activity(activity) = activity else { panic!() };
    let row = activity.begin("doing 59").unwrap();
    let DynField::Info(_) = add("info", Shape::Info, new().value("60")) else { panic!() };

    for (label, part) in [
        ("counter", "41"),
        ("floats", "2.5"),
        ("gauge", "-43"),
        ("time", "44"),
        ("text", "forty"),
        ("blob", "46"),
        ("array", "47"),
        ("state", "on"),
        ("group.idle", "49"),
        ("group.done", "50"),
        ("timer", "51"),
        ("latency", "52000"),
        ("sizes", "53"),
        ("ratios", "0.5"),
        ("average", "55"),
        ("window", "-56"),
        ("rate", "57"),
        ("activity", "doing 59"),
        ("info", "60"),
    ] {
        let value = value(&directory, label);
        assert!(value.contains(part), "{label}: {value}");
    }
    activity.end(row);
    assert!(!value(&directory, "activity").contains("doing 59"));
    let observer = look(directory.path());
    let lines = |file: &File| {
        let index = file.fields().position(|field| field.label() == "events")?;
        (0..file.lanes().used)
            .find_map(|lane| file.events(index, lane, 0).filter(|e| !e.is_empty()))
    };
    let lines: Vec<_> = observer.files().iter().filter_map(lines).collect();
    assert!(format!("{lines:?}").contains("line 58"), "{lines:?}");
}

#[test]
fn dyn_handles_of_the_start_attach() {
    let directory = tempfile::tempdir().unwrap();
    let mut schema = Schema::new();
    let text = schema.add::<DynText>("text", FieldOptions::new().capacity(200));
    let typed = schema.add::<Text<200>>("typed", FieldOptions::new());
    let state = schema.add::<DynState>("state", FieldOptions::new().states(["a", "b"]));
    let array = schema.add::<DynArray>("array", FieldOptions::new().count(2));
    let group = schema.add::<DynGroup>(
        "pool",
        FieldOptions::new().unit("jobs").members([
            GroupMember::gauge("busy", DataType::F64).unit("ratio").help("Busy."),
            GroupMember::gauge("most", DataType::U64).aggregation(Aggregation::Max),
        ]),
    );
    let events = schema.add::<DynEvents>("log", FieldOptions::new().capacity(40).entries(7));
    let activity = schema.add::<DynActivity>("doing", FieldOptions::new());
    let gauge = schema.add::<DynGauge>("gauge", FieldOptions::new());
    let options = Options::new().directory(directory.path()).schema(schema);
    let publisher = options.without_system_fields().start::<Lane>().unwrap();
    let lane = publisher.lane().unwrap();
    let text = lane.attach(text).unwrap();
    assert_eq!(text.capacity(), 200);
    text.set("of run time");
    lane.attach(typed).unwrap().set("of compile time");
    assert!(lane.attach(state).unwrap().set(1));
    assert!(lane.attach(array).unwrap().set(&[1.5, 2.5]));
    assert!(lane.attach(group).unwrap().set(&[Scalar::F64(0.25), Scalar::U64(9)]));
    assert!(lane.attach(events).unwrap().record("log"));
    assert!(lane.attach(activity).unwrap().begin("x").is_some());
    assert!(lane.attach(gauge).unwrap().set(Scalar::F64(7.5)));
    assert!(value(&directory, "gauge").contains("7.5"));
    let observer = look(directory.path());
    let file = &observer.files()[0];
    let busy = file.fields().find(|field| field.label() == "pool.busy").unwrap();
    assert_eq!((busy.unit(), busy.help()), ("ratio", "Busy."));
    let most = file.fields().find(|field| field.label() == "pool.most").unwrap();
    assert_eq!((most.unit(), most.properties().aggregation()), ("jobs", Aggregation::Max));
    let twin = |label| {
        let field = file.fields().find(|field| field.label() == label).unwrap();
        field.properties()
    };
    assert_eq!(twin("text"), twin("typed"));
}

#[test]
fn dyn_declaration_that_breaks_a_rule_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let publisher = start(&directory);
    let refused = |options: FieldOptions<DynField>| {
        matches!(publisher.add("x", options), Err(Error::Field { .. }))
    };
    let new = FieldOptions::<DynField>::new;
    assert!(refused(new().shape(Shape::State)), "no states");
    assert!(refused(new().shape(Shape::State).states(["a", "a"])), "a state twice");
    assert!(refused(new().shape(Shape::Group)), "no members");
    assert!(refused(new().shape(Shape::Text).capacity(2 << 20)), "too long");
    assert!(refused(new().shape(Shape::Text).capacity(0)));
    assert!(refused(new().shape(Shape::Array(DataType::Text)).count(2)), "no scalars");
    assert!(refused(new().shape(Shape::Array(DataType::U64)).count(0)));
    assert!(refused(new().shape(Shape::Window(DataType::U8))));
    let none = publisher.add_dyn_family::<Counter>("x", &[], FieldOptions::new());
    assert_eq!(none.unwrap_err().to_string(), "the family \"x\" has no labels");
    let mut schema = Schema::new();
    schema.add_dyn_family::<Counter>("y", &[], FieldOptions::new());
    let error = Options::new().hidden().schema(schema).start::<Lane>().unwrap_err();
    assert!(matches!(error, Error::NoLabels { .. }));
}

#[test]
fn dyn_family_equals_typed_family() {
    let directory = tempfile::tempdir().unwrap();
    let mut schema = Schema::new();
    let labels = ["method", "code"];
    let key = schema.add_dyn_family::<DynField>("hits", &labels, FieldOptions::new().cap(2));
    let options = Options::new().directory(directory.path()).schema(schema);
    let publisher = options.without_system_fields().start::<Lane>().unwrap();
    let hits = publisher.lane().unwrap().dyn_family(key).unwrap();
    assert_eq!(hits.labels(), 2);
    let incr = |values: &[&str]| match hits.get(values) {
        DynField::Counter(counter) => counter.incr(),
        other => panic!("{other:?}"),
    };
    for values in [&["GET", "200"][..], &["GET", "200"], &["PUT", "200"], &["PUT", "500"], &["GET"]]
    {
        incr(values);
    }
    let observer = look(directory.path());
    let mut all = Vec::new();
    for file in observer.files() {
        for (field, reading) in file.fields().zip(file.values()) {
            let Some(OwnedValue::Unsigned(n)) = reading.value else { panic!("{reading:?}") };
            all.push((field.attributes_text().replace('\0', " "), n));
        }
    }
    all.sort();
    let expected = [("method=GET code=200", 2), ("method=PUT code=200", 1), ("overflow=true", 2)];
    assert_eq!(all, expected.map(|(text, n)| (text.to_owned(), n)));
}

#[test]
fn shared_field_takes_updates_of_all_threads() {
    let directory = tempfile::tempdir().unwrap();
    let publisher = start(&directory);
    let key = publisher.add_shared::<SharedField<Counter>>("jobs", FieldOptions::new()).unwrap();
    let text = publisher
        .add_shared::<SharedField<DynText>>("leader", FieldOptions::new().capacity(32))
        .unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let publisher = &publisher;
            scope.spawn(move || {
                let jobs = publisher.attach_shared(key).unwrap();
                for _ in 0..1_000 {
                    jobs.update(Counter::incr).unwrap();
                }
                let leader = publisher.attach_shared(text).unwrap();
                assert!(leader.update(|text| text.set(&format!("node {thread}"))).unwrap());
            });
        }
    });
    let jobs = publisher.attach_shared(key).unwrap();
    assert_eq!(jobs.update(Counter::get).unwrap(), 8_000);
    let nested = jobs.update(|_| jobs.clone().update(Counter::incr));
    assert!(matches!(nested, Ok(Err(Error::Reentrant))), "{nested:?}");
    assert!(value(&directory, "jobs").contains("8000"));
    assert!(value(&directory, "leader").contains("node"), "it stays when its threads have ended");
}

#[test]
fn reserve_values_keeps_a_latency_in_the_first_file() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options::new().directory(directory.path()).reserve(4, 500);
    let small = options.clone().start::<Lane>().unwrap();
    small.add::<Latency>("latency", FieldOptions::new()).unwrap();
    assert_eq!(small.paths().len(), 2);
    let large = options.reserve_values(16 << 10).start::<Lane>().unwrap();
    large.add::<Latency>("latency", FieldOptions::new()).unwrap();
    large.add::<FloatCounter>("seconds", FieldOptions::new()).unwrap();
    assert_eq!(large.paths().len(), 1);
}

#[test]
fn lane_for_another_thread_has_its_id_and_name() {
    let directory = tempfile::tempdir().unwrap();
    let publisher = Options::new().directory(directory.path()).start::<Lane>().unwrap();
    let key = publisher.add::<DynText>("stack", FieldOptions::new()).unwrap();
    let lane = publisher.lane_for(123_456, Some("worker-7")).unwrap();
    lane.attach(key).unwrap().set("main > serve");
    for (label, part) in
        [("stack", "main > serve"), ("sys.tid", "123456"), ("sys.thread", "worker-7")]
    {
        let all: Vec<_> = seen(&directory).into_iter().filter(|(name, _)| name == label).collect();
        assert!(all.iter().any(|(_, value)| value.contains(part)), "{label}: {all:?}");
    }
}
