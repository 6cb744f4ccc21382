use clap::{Args as _, FromArgMatches as _};

use super::*;

fn environment(pairs: &[(&str, &str)]) -> Sources {
    let environment = pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    Sources { environment: environment.collect(), ..Sources::default() }
}

fn file(text: &str) -> Sources {
    Sources { file: Some(("hansom.toml".into(), text.to_owned())), ..Sources::default() }
}

fn wrong(sources: &Sources) -> Vec<String> {
    Config::resolve(sources).unwrap_err().0
}

#[test]
fn without_any_setting_the_defaults_hold() {
    let config = Config::resolve(&Sources::default()).unwrap();
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8088");
    assert_eq!(config.server.lease, Duration::from_secs(5));
    assert_eq!(config.database.url, None);
    assert_eq!(config.database.data, PathBuf::from("./.hansom"));
    assert_eq!(config.url, "http://127.0.0.1:8088");
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_file() {
    let mut sources = file("lease = '2s'\nlisten = '127.0.0.1:1'\npartitions = 8");
    sources.environment =
        environment(&[("HANSOM_LEASE", "3s"), ("HANSOM_LISTEN", "127.0.0.1:2")]).environment;
    sources.flags = vec![(Key::Listen, "localhost:3".to_owned())];
    let config = Config::resolve(&sources).unwrap();
    assert_eq!(config.server.listen.port(), 3);
    assert_eq!(config.server.lease, Duration::from_secs(3));
    assert_eq!(config.database.partitions, Some(8));
}

#[test]
fn database_url_is_the_fallback_of_our_own_variable() {
    let ours = ("HANSOM_DATABASE_URL", "postgres://a@h/ours");
    let theirs = ("DATABASE_URL", "postgres://a@h/theirs");
    let url = |sources: &Sources| Config::resolve(sources).unwrap().database.url.unwrap();
    assert_eq!(url(&environment(&[theirs])), theirs.1);
    assert_eq!(url(&environment(&[theirs, ours])), ours.1);
    assert_eq!(url(&environment(&[theirs, ("HANSOM_DATABASE_URL", "")])), theirs.1);
    let mut both = file("database_url = 'postgres://a@h/ours'");
    both.environment = environment(&[theirs]).environment;
    assert_eq!(url(&both), ours.1, "a setting of ours wins wherever it stands");
}

#[test]
fn an_unknown_variable_names_the_nearest_setting() {
    let wrong =
        wrong(&environment(&[("HANSOM_LISTN", "x"), ("HANSOM_PG_BIN", "/x"), ("HOME", "/")]));
    assert_eq!(wrong, ["HANSOM_LISTN is not a setting, did you mean HANSOM_LISTEN?"]);
}

#[test]
fn everything_wrong_in_a_file_is_said_at_once_with_its_line() {
    let text =
        "listn = '127.0.0.1:1'\n\nlease = 5\npartitions = true\nworker_threads = 0\n[other]\n";
    assert_eq!(
        wrong(&file(text)),
        [
            "hansom.toml:1: `listn` is not a setting, did you mean `listen`?",
            "hansom.toml:4: partitions: it is text or a number, not boolean",
            "hansom.toml:6: `other` is not a setting",
            "hansom.toml:3: lease: `5`: a duration needs a unit, as in 250ms, 5s, 10m, 2h or 7d",
            "hansom.toml:5: worker_threads: `0`: it is a whole number from 1 to 256",
        ]
    );
}

#[test]
fn a_file_that_is_no_toml_is_refused_with_its_line() {
    let wrong = wrong(&file("lease = '5s'\nlisten =\n"));
    assert_eq!(wrong.len(), 1);
    assert!(wrong[0].starts_with("hansom.toml:2: "), "{wrong:?}");
}

#[test]
fn values_that_cannot_be_meant_are_refused() {
    for (name, text) in [
        ("HANSOM_LISTEN", "8088"),
        ("HANSOM_LISTEN", "127.0.0.1:99999"),
        ("HANSOM_LEASE", "999ms"),
        ("HANSOM_LEASE", "7d"),
        ("HANSOM_PARTITIONS", "0"),
        ("HANSOM_PARTITIONS", "-1"),
        ("HANSOM_PARTITIONS", "1e3"),
        ("HANSOM_GATEWAY", "taxi"),
        ("HANSOM_LOG_FORMAT", "xml"),
        ("HANSOM_LOG", "hansom=loud"),
        ("HANSOM_URL", "127.0.0.1:8088"),
        ("HANSOM_URL", "ftp://host"),
        ("HANSOM_DATABASE_URL", "mysql://root@localhost/x"),
        ("HANSOM_DATABASE_URL", "localhost"),
    ] {
        let wrong = wrong(&environment(&[(name, text)]));
        assert_eq!(wrong.len(), 1, "{name}={text}: {wrong:?}");
        assert!(wrong[0].starts_with(&format!("{name}: `{text}`: ")), "{wrong:?}");
    }
}

#[test]
fn a_password_is_never_shown() {
    for (url, shown) in [
        ("postgres://me:s3cret@h:1/d", "postgres://me:***@h:1/d"),
        ("postgres://me:s3c@ret@h/d", "postgres://me:***@h/d"),
        ("postgres://me@h/d", "postgres://me@h/d"),
        ("postgres:///d?host=/x&password=s3cret", "postgres:///d?host=/x&password=***"),
        ("postgres:///d?password=s3&cret&pass%77ord=s3", "postgres:///d?password=***&***&***"),
        ("postgres:///d?host=/x&password=s3#cret", "postgres"),
        ("mysql://me:s3cret@h/d", "mysql://me:***@h/d"),
        ("postgres://me:s3?cret@h/d", "postgres"),
        ("postgres://me:12?s3cret@h/d", "postgres"),
        ("postgres://me:s3#cret@h/d", "postgres"),
        ("postgres://me:12/s3cret@h/d", "postgres"),
        ("me:s3cret@h/d", ""),
        ("me:s3cret?x://h/d", ""),
    ] {
        assert_eq!(mask(url), shown);
        for sources in
            [environment(&[("DATABASE_URL", url)]), file(&format!("database_url = '{url}'"))]
        {
            let said = match Config::resolve(&sources) {
                Ok(config) => format!("{:?}", config.database),
                Err(wrong) => wrong.to_string(),
            };
            assert!(!said.contains("s3") && !said.contains("ret"), "{said}");
        }
    }
    let kept =
        Config::resolve(&environment(&[("DATABASE_URL", "postgres://me:s3cret@h/d")])).unwrap();
    assert!(!format!("{kept:?}").contains("s3cret"));
}

#[test]
fn a_database_url_whose_password_could_be_taken_for_something_else_is_refused() {
    let refused = |url: &str| wrong(&environment(&[("HANSOM_DATABASE_URL", url)])).remove(0);
    for url in ["postgres://me:12?34@h/d", "postgres://me:12/34@h/d", "postgres://me:12#34@h/d"] {
        let why = "in a user or password `/` is written %2F, `?` %3F, `#` %23 and `@` %40";
        assert_eq!(refused(url), format!("HANSOM_DATABASE_URL: `postgres`: {why}"));
    }
    assert_eq!(
        refused("postgres://me@h/d?sslmode=disable&passwd=s3cret"),
        "HANSOM_DATABASE_URL: `postgres://me@h/d?sslmode=disable&***`: it has no parameter `passwd`"
    );
    let nameless = refused("postgres://me@h/d?password=s3c&ret");
    assert!(nameless.ends_with("a parameter is written name=value"), "{nameless}");
    let all = "postgres:///d?host=/x&options[lock_timeout]=1s&options=-c%20x=1&sslkey=/k&user=me";
    assert!(Config::resolve(&environment(&[("HANSOM_DATABASE_URL", all)])).is_ok());
}

#[test]
fn remote_activities_are_names_with_commas_between_them() {
    let remote = |text| Config::resolve(&environment(&[("HANSOM_REMOTE", text)]));
    assert_eq!(remote("a, b_c").unwrap().server.remote, ["a", "b_c"]);
    assert!(Config::resolve(&Sources::default()).unwrap().server.remote.is_empty());
    assert!(remote("a,,b").is_err() && remote("a b").is_err());
}

#[test]
fn every_service_may_run_elsewhere_and_a_url_that_is_none_is_refused() {
    let mut sources = environment(&[("HANSOM_PAYMENT_URL", "http://127.0.0.1:8083/")]);
    sources.file = file("drive_url = 'http://127.0.0.1:8084'").file;
    let services = Config::resolve(&sources).unwrap().server.services;
    let expected = [("drive", "http://127.0.0.1:8084"), ("payment", "http://127.0.0.1:8083")];
    assert_eq!(services, expected.map(|(name, url)| (name, url.to_owned())).into());
    let wrong = wrong(&environment(&[("HANSOM_DRIVE_URL", "8084")]));
    assert_eq!(wrong.len(), 1);
    assert!(wrong[0].starts_with("HANSOM_DRIVE_URL: `8084`"), "{wrong:?}");
}

#[test]
fn a_service_whose_url_could_hold_a_secret_is_refused_and_the_secret_is_not_shown() {
    for url in [
        "http://me:s3cret@h:8083",
        "http://s3cret@h:8083/pay",
        "http://h:8083/?token=s3cret",
        "http://h:8083/pay?token=me@s3cret",
        "http://h:8083#s3cret",
        "http://me:s3c/ret@h:8083",
    ] {
        let wrong = wrong(&environment(&[("HANSOM_PAYMENT_URL", url)]));
        assert_eq!(wrong.len(), 1);
        assert!(!wrong[0].contains("s3c") && wrong[0].contains("HANSOM_PAYMENT_URL"), "{wrong:?}");
    }
    let services = |url| {
        let config = Config::resolve(&environment(&[("HANSOM_PAYMENT_URL", url)])).unwrap();
        config.server.services["payment"].clone()
    };
    assert_eq!(services("https://h:8083/behind/a/proxy/"), "https://h:8083/behind/a/proxy");
}

#[test]
fn a_bound_on_what_waits_a_url_and_a_breaker_are_read_from_their_flags() {
    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        config: ConfigArgs,
    }
    let flags = ["hansom", "--max-backlog", "7", "--payment-url", "http://h:1"];
    let breaker = ["--drive-breaker", "calls:9"];
    let line: Line = clap::Parser::parse_from(flags.into_iter().chain(breaker));
    let sources = Sources { flags: line.config.flags(), ..Sources::default() };
    let server = Config::resolve(&sources).unwrap().server;
    assert_eq!((server.max_backlog, &*server.services["payment"]), (7, "http://h:1"));
    assert_eq!(server.breakers["drive"].calls, 9);
}

#[test]
fn the_breaker_of_a_service_opens_when_it_is_set_to() {
    let mut sources = environment(&[("HANSOM_PAYMENT_BREAKER", "slow:2s, calls:5,failed:50%")]);
    sources.file = file("payment_breaker = 'open:1m'\ndrive_breaker = 'open:1m,window:1m'").file;
    let breakers = Config::resolve(&sources).unwrap().server.breakers;
    let as_else = BreakerSettings::default();
    let slow = Duration::from_secs(2);
    let minute = Duration::from_mins(1);
    let payment = BreakerSettings { slow, calls: 5, failed_percent: 50, ..as_else };
    let drive = BreakerSettings { open: minute, window: minute, ..as_else };
    assert_eq!(breakers, [("drive", drive), ("payment", payment)].into());
}

#[test]
fn a_breaker_that_cannot_be_meant_is_refused() {
    for (text, why) in [
        ("", "a breaker is written as slow:610ms,window:10s,calls:20,failed:30,open:5s"),
        ("slow", "a breaker is written as slow:610ms,window:10s,calls:20,failed:30,open:5s"),
        (
            "slwo:1s",
            "it has no `slwo`, did you mean `slow`? (there are: slow, window, calls, failed, open)",
        ),
        ("open:5", "open: a duration needs a unit, as in 250ms, 5s, 10m, 2h or 7d"),
        ("open:0s", "open: it is 10ms to 1h"),
        ("calls:0", "calls: it is a whole number from 1 to 1000000"),
        ("failed:101", "failed: it is a whole number from 1 to 100"),
        ("open:1s,open:2s", "it says `open` twice"),
    ] {
        let wrong = wrong(&file(&format!("payment_breaker = '{text}'")));
        assert_eq!(wrong, [format!("hansom.toml:1: payment_breaker: `{text}`: {why}")]);
    }
    let wrong = wrong(&file("paymnet_breaker = 'open:1s'"));
    let near = "hansom.toml:1: `paymnet_breaker` is not a setting, did you mean `payment_breaker`?";
    assert_eq!(wrong, [near]);
}

#[test]
fn a_database_url_may_stand_in_a_file_and_is_never_shown() {
    let path = std::env::temp_dir().join(format!("hansom-secret-{}", std::process::id()));
    let path = path.to_str().unwrap();
    let set = ("HANSOM_DATABASE_URL_FILE", path);
    let kept = |text: &str, more: &[(&str, &str)]| {
        std::fs::write(path, text).unwrap();
        let sources = environment(&[&[set], more].concat());
        Config::resolve(&sources).map(|config| config.database.url).map_err(|wrong| wrong.0)
    };
    let url = "postgres://me:s3cret@h/d";
    assert_eq!(kept(&format!("{url}\n"), &[]), Ok(Some(url.to_owned())));
    let theirs = ("DATABASE_URL", "postgres://a@h/theirs");
    assert_eq!(kept(url, &[theirs]), Ok(Some(url.to_owned())), "theirs is for want of ours");
    let said = format!("HANSOM_DATABASE_URL_FILE: `{path}`");
    assert_eq!(kept(" \n", &[]), Err(vec![format!("{said}: the file is empty")]));
    let odd = kept("mysql://me:s3cret@h/d", &[]).unwrap_err();
    assert!(odd[0].starts_with(&said) && !odd[0].contains("s3cret"), "{odd:?}");
    let both = "HANSOM_DATABASE_URL_FILE: HANSOM_DATABASE_URL is set too; only one of them may be";
    assert_eq!(kept(url, &[("HANSOM_DATABASE_URL", url)]), Err(vec![both.to_owned()]));
    std::fs::remove_file(path).unwrap();
    let gone = wrong(&environment(&[set]));
    assert!(gone[0].starts_with(&format!("{said}: No such file")), "{gone:?}");
}

#[test]
fn a_url_that_stands_where_its_file_belongs_is_not_shown() {
    for (url, shown) in [("postgres://me:s3cret@h/d", "postgres"), ("'me:s3cret://h/d'", "")] {
        let why = "it is the path of a file; a URL is set as HANSOM_DATABASE_URL";
        let said = wrong(&environment(&[("HANSOM_DATABASE_URL_FILE", url)]));
        assert_eq!(said, [format!("HANSOM_DATABASE_URL_FILE: `{shown}`: {why}")]);
    }
}

#[test]
fn a_landscape_is_a_plain_name() {
    let landscape = |text| Config::resolve(&environment(&[("HANSOM_LANDSCAPE", text)]));
    assert_eq!(landscape("prod-eu.1").unwrap().landscape.as_deref(), Some("prod-eu.1"));
    assert_eq!(landscape("").unwrap().landscape, None, "an empty variable is none");
    for text in ["pr od", "prod\"", "운영", &"x".repeat(64)] {
        assert!(landscape(text).is_err(), "{text}");
    }
}

#[test]
fn how_long_rides_wait_is_set_and_else_as_it_always_was() {
    let rides = |text| Config::resolve(&file(text)).unwrap().server.rides;
    assert_eq!(rides(""), Terms::default());
    let set = rides("anycall_notice_every = '5s'\nanycall_no_show_after = '1m'");
    assert_eq!((set.notice_every_ms, set.no_show_after_ms), (5_000, 60_000));
    assert_eq!(set.give_up_after_ms, Terms::default().give_up_after_ms);
    let set = rides("anycall_give_up_after = '1h'\nanycall_review_for = '1d'");
    assert_eq!((set.give_up_after_ms, set.review_for_ms), (3_600_000, 86_400_000));
    let long = wrong(&file("anycall_review_for = '366d'"));
    assert_eq!(long, ["hansom.toml:1: anycall_review_for: `366d`: it is 100ms to 365d"]);
}

#[test]
fn every_setting_has_a_flag_that_is_heard() {
    let command = ConfigArgs::augment_args(clap::Command::new("hansom"));
    let given = Key::all().filter(|key| *key != Key::Url);
    let given = given.map(|key| format!("--{}=x", key.name().replace('_', "-")));
    let given = std::iter::once("hansom".to_owned()).chain(given);
    let matches = command.try_get_matches_from(given).unwrap();
    let heard = ConfigArgs::from_arg_matches(&matches).unwrap().flags();
    let missing = Key::all().filter(|key| heard.iter().all(|(name, _)| name != key));
    assert_eq!(missing.collect::<Vec<_>>(), [Key::Url]);
}
