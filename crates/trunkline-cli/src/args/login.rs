//! Arguments of `trunkline login`, and the form options that `trunkline fetch --login` shares.

use std::path::PathBuf;
use std::time::Duration;

use trunkline_scrape::{Expect, FormChoice};

use super::seconds;

const ABOUT: &str = "\
Log in to a site through its form, and keep the cookies

Fetches the page at URL, fills in its form as a browser would (hidden inputs
included), submits it, follows redirects, and prints a line with the final page.
With --cookies, `trunkline fetch --cookies` and `curl -b` are then logged in.";

const MORE: &str = "\
The form:
  The first form of the page that has a password field, or the form of --form.
  Fields are filled in by name; if a name does not exist, the error lists the
  names of the form. A select takes the value of an option, a checkbox is
  checked by its value, which is usually `on`. Scripts are not run.

The password:
  Read from --password-file or --password-env, or prompted for on the terminal
  without echo. It is never an argument: other users can read the arguments of a
  running program, and shells keep them in their history.

Success:
  By default, the final page has the status 200 and no password field. With
  --expect, the final page has to meet each condition:
    status=200            its status
    url=/account          its path, or its whole URL
    cookie=sessionid      a cookie would be sent to it
    present=a.logout      a CSS selector matches on it
    absent=form.login     a CSS selector does not match on it
    text=Welcome          it contains this text
  A failed login leaves the file of --cookies unchanged.

Exit status:
  0  logged in
  1  not logged in: standard error has the reason and the page's own message
  2  the arguments cannot be used, or the page has no such form or field
  130  stopped by Ctrl-C (143: by SIGTERM)

Examples:
  trunkline login https://example.com/login --field user=ann --cookies jar.txt
      Prompts for the password, logs in, saves the cookies.
  trunkline fetch --cookies jar.txt https://example.com/members
      Fetches with these cookies, as `curl -b jar.txt` does.
  pass example.com | trunkline login https://example.com/login \\
          --field user=ann --password-file - --expect cookie=sessionid
      Reads the password from a program; success is that cookie.";

#[derive(clap::Args, Debug)]
#[command(about = "Log in to a site through its form, and keep the cookies", long_about = ABOUT, after_long_help = MORE)]
#[command(override_usage = "trunkline login [OPTIONS] URL")]
pub(crate) struct LoginArgs {
    /// URL of the page with the form
    #[arg(id = "login", value_name = "URL")]
    pub(crate) url: String,

    #[command(flatten)]
    pub(crate) form: LoginForm,

    /// Cookie file, in the format of curl's -b and -c: read at the start if it exists, written
    /// after the login
    #[arg(long, value_name = "FILE")]
    pub(crate) cookies: Option<PathBuf>,

    /// A header for every request, such as 'Accept-Language: en'; may be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub(crate) headers: Vec<String>,

    /// Time limit of each request, redirects included; may be a fraction
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds, allow_negative_numbers = true)]
    pub(crate) timeout: Duration,
}

/// Options of the form: which one, its fields, and the signs of success. `login` is the id of the
/// URL in both commands.
#[derive(clap::Args, Debug)]
pub(crate) struct LoginForm {
    /// Fill in a field of the form, but never a password; may be repeated
    #[arg(long = "field", value_name = "NAME=VALUE", requires = "login")]
    pub(crate) fields: Vec<String>,

    /// Read the password from FILE, its only line; - is standard input
    #[arg(long, value_name = "FILE", requires = "login", conflicts_with = "password_env")]
    pub(crate) password_file: Option<PathBuf>,

    /// Read the password from the environment variable NAME
    #[arg(long, value_name = "NAME", requires = "login")]
    pub(crate) password_env: Option<String>,

    /// Name of the password field, if the form has several
    #[arg(long, value_name = "NAME", requires = "login")]
    pub(crate) password_field: Option<String>,

    /// Form to use: id=ID, name=NAME, selector=CSS, or number=N, where 0 is the first form
    #[arg(long, value_name = "WHICH", requires = "login", value_parser = form)]
    pub(crate) form: Option<FormChoice>,

    /// Sign of a successful login, such as url=/account or cookie=sessionid; may be repeated
    #[arg(long = "expect", value_name = "WHAT", requires = "login", value_parser = str::parse::<Expect>)]
    pub(crate) expected: Vec<Expect>,
}

fn form(text: &str) -> Result<FormChoice, String> {
    let wanted = || "write id=ID, name=NAME, selector=CSS or number=N".to_owned();
    let (by, what) = text.split_once('=').filter(|(_, what)| !what.is_empty()).ok_or_else(wanted)?;
    match by {
        "id" => Ok(FormChoice::Id(what.into())),
        "name" => Ok(FormChoice::Name(what.into())),
        "selector" => Ok(FormChoice::Selector(what.into())),
        "number" => {
            what.parse().map(FormChoice::Position).map_err(|_| "number= wants a whole number; the first is 0".into())
        }
        _ => Err(wanted()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_chosen_by_id_name_selector_or_number() {
        assert_eq!(form("id=in"), Ok(FormChoice::Id("in".into())));
        assert_eq!(form("selector=form[action='/in']"), Ok(FormChoice::Selector("form[action='/in']".into())));
        assert_eq!(form("number=0"), Ok(FormChoice::Position(0)));
        for unusable in ["", "in", "id=", "class=in", "number=first", "number=-1"] {
            form(unusable).unwrap_err();
        }
    }
}
