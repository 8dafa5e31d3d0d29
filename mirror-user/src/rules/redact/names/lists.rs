//! The names of the presets: facts about what services, frameworks and filters call their secrets.
//!
//! Every name is in its folded form: small letters and digits. The longest that fits decides.

use super::{Anchor, Places, Role};
use crate::rules::redact::options::Preset;

/// What a list says of its names.
#[derive(Clone, Copy)]
pub(super) enum Says {
    Replace(&'static str),
    Identifier,
    Exempt,
    Carrier,
}

impl From<Says> for Role {
    fn from(says: Says) -> Self {
        match says {
            Says::Replace(kind) => Self::Replace(kind.into()),
            Says::Identifier => Self::Identifier,
            Says::Exempt => Self::Exempt,
            Says::Carrier => Self::Carrier,
        }
    }
}

/// Names that are alike.
pub(super) struct List {
    pub(super) preset: Preset,
    pub(super) role: Says,
    pub(super) anchor: Anchor,
    pub(super) places: Places,
    pub(super) names: &'static str,
}

const fn of(
    preset: Preset,
    role: Says,
    anchor: Anchor,
    places: Places,
    names: &'static str,
) -> List {
    List { preset, role, anchor, places, names }
}

/// A secret, everywhere.
const fn secret(kind: &'static str, anchor: Anchor, names: &'static str) -> List {
    of(Preset::Credentials, Says::Replace(kind), anchor, Places::ALL, names)
}

/// What names a person or an account, everywhere.
const fn personal(kind: &'static str, anchor: Anchor, names: &'static str) -> List {
    of(Preset::Pii, Says::Replace(kind), anchor, Places::ALL, names)
}

const fn exempt(anchor: Anchor, names: &'static str) -> List {
    of(Preset::Credentials, Says::Exempt, anchor, Places::ALL, names)
}

use Anchor::{End, Whole, Word};

/// All lists. Kinds that hold the same secret in different places are one, so that it has one token.
pub(super) const LISTS: &[List] = &[
    // Passwords.
    secret(
        "password",
        End,
        "password passwords passwd passwds passphrase passphrases passcode passcodes pwd pwds \
         passwort kennwort htpasswd",
    ),
    secret(
        "password",
        Word,
        "pass passw passwrd passwrds pswd psw pw pws userpass dbpass mysqlpass contrasena senha \
         motdepasse mdp wachtwoord crypt salt authpw upass psk wpapsk wifikey",
    ),
    // Secrets.
    secret(
        "secret",
        End,
        "secret secrets credential credentials clientassertion connectionstring connectionstrings \
         connstring privkey privatekey privatekeys secretkey secretkeys secretaccesskey encryptionkey \
         signingkey masterkey sharedkey accountkey sharedaccesskey seedphrase recoveryphrase sshkey \
         gpgkey pgpkey aeskey rsakey hmackey tlskey sslkey sessionkey sessionkeys passkey passkeys \
         hashkey deploykey keypair",
    ),
    secret(
        "secret",
        Word,
        "cred creds assertion connstr dsn mnemonic certificate certificates secretanswer \
         securityanswer pem pfx p12 jks keystore wsse symmetrickey wrappedkey recoverykey backupkey \
         decryptionkey decryptkey encryptkey signkey signaturekey storagekey rootkey serverkey \
         servicekey webhookkey unlockkey activationkey vaultkey integrationkey ingestkey ingestionkey \
         writekey readkey adminkey botkey userkey tokenkey verificationkey hostkey clientkey \
         customerkey publickey publickeys publickeyid secretkeyid privatekeyid clientprincipal \
         kubeconfig saslpassword secretquestion securityquestion walletkey pkcs12 webhookurl slackwebhook \
         discordwebhook kerberosticket",
    ),
    // Tokens.
    secret(
        "bearer",
        End,
        "token accesstoken accesstokens idtoken idtokens authtoken authtokens sessiontoken \
         securitytoken refreshtokens bearertoken",
    ),
    of(Preset::Credentials, Says::Replace(super::COUNTED), End, Places::ALL, "tokens"),
    secret(
        "bearer",
        Word,
        "jwt jwts bearer dpop appcheck oidcdata jwtassertion accessjwt refreshjwt tkn tok",
    ),
    secret("refresh-token", End, "refreshtoken"),
    secret(
        "csrf",
        End,
        "csrf xsrf csrftoken xsrftoken csrfmiddlewaretoken authenticitytoken requestverificationtoken \
         wpnonce antiforgery",
    ),
    secret("captcha", End, "recaptcharesponse hcaptcharesponse turnstileresponse"),
    // Keys.
    secret(
        "api-key",
        End,
        "apikey apikeys apitoken apitokens apisecretkey accesskey accesskeys accesskeyid apikeyid \
         appkey applicationkey consumerkey consumerid subscriptionkey functionskey functionkey \
         licensekey licencekey authkey authkeys privatetoken gitlabtoken vaulttoken googleaccessid \
         publishablekey xhoneycombteam",
    ),
    secret("api-key", Word, "artapi productkey devkey developerkey partnerkey merchantkey"),
    of(Preset::Credentials, Says::Replace("api-key"), Word, Places::HEADER, "key keys"),
    of(Preset::Credentials, Says::Replace("secret"), Whole, Places::HEADER, "xidentityheader"),
    of(Preset::Credentials, Says::Replace("api-key"), Whole, Places::PAIR, "key"),
    // Sessions.
    secret(
        "session",
        End,
        "sessionid sessionids sessid sessids jsessionid phpsessid aspsessionid sessionidentifier \
         sessionhash sessionstate",
    ),
    secret(
        "session",
        Word,
        "sid sids sess session phpsession cftoken cfid usersession websession symfony cfduid",
    ),
    secret("cookie", End, "cookie cookies cookie2 setcookie setcookies setcookie2 cookiejar"),
    // Signatures.
    secret("signature", End, "signature signatures xamzcredential xgoogcredential"),
    secret("signature", Word, "sig sigs sign signed hmac clientsig"),
    // One-time codes.
    secret(
        "otp",
        End,
        "otpcode totpcode mfacode onetimepassword onetimepasscode onetimecode verificationcode \
         verifycode activationcode resetcode authcode authorizationcode accesscode recoverycode \
         recoverycodes backupcode backupcodes smscode logincode invitecode invitationcode devicecode \
         usercode pairingcode emailcode phonecode unlockcode twofactorcode securitycode confirmationcode codeverifier \
         codechallenge oauthverifier mfatoken oneuse",
    ),
    secret("otp", Word, "otp otps totp hotp mfa tfa 2fa 2facode otpsecret otac"),
    secret("pin", Word, "pin pins pincode pincodes pinblock pinnumber mpin tpin upin"),
    secret(
        "cvv",
        Word,
        "cvv cvvs cvv2 cvc cvcs cvc2 cvn csc cv2 cav2 cardsecuritycode cardverificationvalue",
    ),
    secret("cvv", End, "cvvcode cvccode cvv cvv2 cvc2"),
    // Schemes.
    secret("authorization", End, "authorization authorizations"),
    secret(
        "authorization",
        Word,
        "auth oauth oauth2 xauth authentication authheader basicauth authdata httpauth \
         authorizationauxiliary authenticationinfo proxyauthenticationinfo",
    ),
    secret("saml", End, "samlresponse samlrequest samlassertion samlart"),
    secret("saml", Whole, "relaystate wresult"),
    // What opens doors in a query and is something else in a document.
    of(
        Preset::Credentials,
        Says::Replace("code"),
        Whole,
        Places::PAIR,
        "code ticket tgt pgtid pgtiou appid clientid challenge facetid fcparams serverdata shdf usg \
         vses2",
    ),
    of(Preset::Credentials, Says::Replace("code"), Word, Places::PAIR, "ticket tickets"),
    secret("code", Whole, "xclientdata"),
    // What may follow: the value is still the secret.
    of(
        Preset::Credentials,
        Says::Carrier,
        Word,
        Places::ALL,
        "value values val confirmation confirm confirmed again repeat repeated repeatpassword retype \
         verify check new old current previous prev next plain plaintext cleartext clear raw text \
         string str hash hashed hashes digest encrypted enc encoded base64 b64 hex md5 sha sha1 sha256 \
         sha512 bcrypt data param params parameter field input header body payload primary secondary \
         backup live test prod production dev staging sandbox default legacy",
    ),
    // Counters, kinds, and what is not one's own.
    exempt(
        Word,
        "maxtokens mintokens newtokens toptokens inputtokens outputtokens prompttokens completiontokens \
         totaltokens cachedtokens reasoningtokens thinkingtokens audiotokens texttokens imagetokens \
         predictiontokens numtokens ntokens usedtokens remainingtokens availabletokens budgettokens \
         contexttokens counttokens generatedtokens limittokens resettokens stoptokens specialtokens \
         consumedtokens pagetoken nextpagetoken prevpagetoken previouspagetoken nexttoken prevtoken \
         continuationtoken paginationtoken synctoken eostoken bostoken padtoken unktoken stoptoken \
         septoken clstoken masktoken designtoken designtokens csstokens",
    ),
    exempt(
        Word,
        "idempotencykey surrogatekey websocketkey cachekey sortkey partitionkey routingkey rowkey \
         objectkey primarykey foreignkey translationkey requestkey hashkeyname rangekey messagekey \
         groupkey itemkey issuekey projectkey datakey dedupkey deduplicationkey shardkey indexkey \
         bucketkey lookupkey sortingkey storagekeyname",
    ),
    exempt(
        End,
        "allowcredentials includecredentials withcredentials requirecredentials sendcredentials \
         nocredentials boardingpass bypass compass trespass surpass underpass overpass hallpass",
    ),
    exempt(
        Word,
        "numsessions maxsessions activesession newsession issession hassession bypass firstpass \
         secondpass multipass renderpass passpass seasonpass daypass buspass gamepass skipass \
         methodsignature functionsignature typesignature emailsignature callsign dollarsign plussign \
         minussign zodiacsign starsign roadsign equalsign hashtag haspassword ispassword \
         forgotpassword resetpassword changepassword passwordreset needspassword requirespassword \
         usepassword isotp hasotp ismfa hasmfa requiremfa mfarequired requirespin haspin pushpin \
         tenpin clothespin gpiopin mappin dropin isauth requiresauth needsauth noauth skipauth \
         useauth hasauth birthcertificate giftcertificate acceptcookies allowcookies hastoken",
    ),
    // Identifiers: random digits in them may look like a card.
    of(
        Preset::Credentials,
        Says::Identifier,
        Word,
        Places::ALL,
        "id ids uuid uuids guid oid uid trace traceid spanid parentid samplingpriority requestid \
         correlationid traceparent tracestate b3 tracecontext transactionid orderid eventid messageid \
         timestamp ts nonce sequence seq sequencenumber offset cursor etag checksum crc \
         revision build version serial serialnumber serialno sku ean gtin upc isbn barcode tracking \
         trackingnumber trackingno ordernumber orderno orderref invoicenumber invoiceno reference ref \
         refno batch lot imei iccid",
    ),
    of(Preset::Credentials, Says::Identifier, End, Places::ALL, "traceid spanid requestid uuid"),
    // Persons and accounts.
    personal("ssn", Word, "ssn ssns socialsecurity socialsecuritynumber socialsecurityno"),
    personal(
        "pan",
        Word,
        "pan cardnumber cardnumbers cardno cardnum creditcard creditcards creditcardnumber creditcardno \
         creditcardnum ccnumber ccnum ccno debitcard debitcardnumber paymentcard paymentcardnumber \
         bankcard bankcardnumber primaryaccountnumber dpan fpan pannumber cardpan",
    ),
    personal("pan", End, "cardnumber creditcardnumber ccnumber"),
    personal(
        "card",
        Word,
        "cardexpiry cardexpiration cardexpirydate cardexpirationdate cardexp cardexpmonth cardexpyear \
         expirydate expirationdate expdate expmonth expyear expirymonth expiryyear expirationmonth \
         expirationyear ccexp ccexpiry ccexpmonth ccexpyear cardlast4 last4 lastfour last4digits \
         lastfourdigits cardlastfour cardbin first6 first6digits track1 track2 track3 track1data \
         track2data trackdata validthru validthrough magstripe magneticstripe emvdata iccdata",
    ),
    personal("iban", Word, "iban ibans ibannumber ibancode bankiban"),
    personal(
        "account",
        Word,
        "accountnumber accountno accountnum acctnumber acctno acctnum bankaccount bankaccountnumber \
         bankaccountno routingnumber sortcode abarouting swiftcode biccode bic abanumber transitnumber clabe cbu kontonummer",
    ),
    personal(
        "email",
        Word,
        "email emails mail mails emailaddress emailaddresses emailaddr emailid mailaddress \
         useremail recipientemail correo courriel",
    ),
    personal(
        "phone",
        Word,
        "phone phones phonenumber phonenumbers phoneno phonenum telephone telephones telephonenumber \
         tel telno telnumber mobile mobiles mobilenumber mobileno mobilephone cellphone cellnumber \
         cellphonenumber msisdn fax faxnumber faxno whatsapp whatsappnumber contactnumber contactno \
         landline homephone workphone telefon telefono telefone handynummer telefonnummer celular",
    ),
    personal("phone", End, "phonenumber mobilenumber"),
    personal(
        "birth",
        Word,
        "birth dateofbirth birthdate birthdates birthday birthdays dob bday birthyear birthmonth \
         yearofbirth monthofbirth dayofbirth placeofbirth birthplace birthcity birthcountry \
         geburtsdatum geburtstag datenaissance datedenaissance fechanacimiento fechadenacimiento \
         datanascimento",
    ),
    personal("birth", End, "dateofbirth birthdate"),
    personal(
        "name",
        Word,
        "firstname firstnames lastname lastnames fullname fullnames givenname givennames familyname \
         surname surnames middlename middlenames maidenname mothersmaidenname mothermaidenname \
         legalname realname cardholder cardholders cardholdername nameoncard accountholder \
         accountholdername patientname customername clientname employeename passengername guestname holdername contactname recipientname beneficiaryname \
         billingname shippingname personname fname lname mname forename forenames secondname \
         vorname nachname familienname prenom nomdefamille apellido apellidos sobrenome cognome",
    ),
    personal(
        "address",
        Word,
        "address addresses addr street streets streetaddress streetname streetnumber streetline \
         addressline addresslines homeaddress billingaddress shippingaddress postaladdress \
         mailingaddress deliveryaddress residentialaddress postcode postcodes postalcode postalcodes \
         postal zip zipcode zipcodes housenumber houseno apartmentnumber anschrift plz direccion endereco \
         indirizzo adresse domicilio",
    ),
    personal(
        "ip",
        Word,
        "ipaddress ipaddresses ipaddr remoteaddr remoteip clientip forwardedfor realip",
    ),
    // RFC 7239
    of(Preset::Pii, Says::Replace("ip"), Whole, Places::HEADER, "forwarded"),
    of(
        Preset::Pii,
        Says::Exempt,
        Word,
        Places::ALL,
        "secchuamobile ismobile chuamobile macaddress hwaddress contractaddress serveraddress \
         hostaddress bindaddress listenaddress networkaddress memoryaddress baseaddress \
         returnaddress validaddress hasaddress hasemail hasphone isphone sendemail sendmail \
         emailverified webaddress",
    ),
    personal(
        "id",
        Word,
        "taxid taxids taxnumber taxno taxpayerid taxpayernumber taxpayeridentificationnumber \
         taxidentificationnumber itin passport passports passportnumber passportno passportid \
         passportnum nationalid nationalids nationalidnumber nationalidentifier nationalidentity \
         nationalidentitynumber identitynumber identityno identitycard identitycardnumber idcard \
         idcardnumber idcardno idnumber idno personalid personalidnumber personalidentitynumber \
         personalnumber governmentid govid citizenid citizenshipnumber residentid residencepermit \
         visanumber driverlicense driverlicenses driverslicense driverlicence driverslicence \
         drivinglicense drivinglicence driverlicensenumber driverslicensenumber drivinglicencenumber \
         licensenumber licencenumber dlnumber aliennumber medicareid medicarenumber medicareno \
         healthcard healthcardnumber healthinsurancenumber insurancenumber \
         socialinsurancenumber sinnumber nino nationalinsurance nationalinsurancenumber nhsnumber nhsno \
         utr steuerid steueridnr steueridentifikationsnummer steuernummer idnr personalausweis \
         personalausweisnummer ausweisnummer sozialversicherungsnummer rentenversicherungsnummer svnr \
         insee numerosecuritesociale securitesociale numerofiscal codicefiscale partitaiva cpf cnpj \
         titulodeeleitor curp clavederfc cuil cuit dni aadhaar aadhar aadhaarnumber aadharnumber uidai \
         pancard voterid voteridnumber gstin shenfenzheng residentidentitycard mynumber \
         individualnumber kojinbango rrn residentregistrationnumber jumin juminnumber nik ktp npwp \
         snils iqama iqamanumber saidnumber tckn tckimlik tckimlikno kimlikno tfn taxfilenumber bsn \
         personnummer personnumber pesel vatid vatnumber cedula jmbg emso hetu fodselsnummer kennitala \
         ppsn ninumber medicalrecordnumber mrn patientid healthid hkid nric mykad icnumber ahvnummer \
         ahvnumber licenseplate licenceplate numberplate",
    ),
    personal(
        "id",
        Whole,
        "sin nir nif nie rg rfc inn tin ein pis cnh ine abn uan nin medicare said oib cpr rut \
         ruc egn amka afm cnp pps ahv avs fin nuip nom nombre",
    ),
];
